// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The files of a chain: opened for reading only, and what the loop must know of
// them: how large, how aligned, and which NVMe namespace.
#pragma once

#include <string>
#include <vector>

#include <sys/stat.h>

#include "base/fd.h"
#include "base/result.h"
#include "chain/chain_api.h"
#include "ringraid/chain.h"

namespace rr::chained {

struct open_file {
    Fd fd;
    std::string path;  // empty for a descriptor of the application
    struct stat info{};
    chain_file facts{};
};

Result<open_file> open_one(const rr_chain_file& file, bool buffered);

// The size as it is now.
Result<uint64_t> size_of(const open_file& file);

}  // namespace rr::chained
