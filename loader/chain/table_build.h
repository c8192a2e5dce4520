// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Hash tables for chain_hash.h and pages of rows for chain_scan.h.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "chain/btree_build.h"
#include "ringraid/chain_hash.h"
#include "ringraid/chain_scan.h"

namespace rr::chained {

using page_sink = std::function<Status(uint64_t, const std::vector<uint8_t>&)>;

// Calls @write for each page, the head page last: the bytes of all.
Result<uint64_t> hash_write(uint64_t offset, unsigned page_bytes, unsigned buckets,
                            const std::function<std::optional<cell>()>& next,
                            const page_sink& write);

Result<uint64_t> rows_write(uint64_t offset, unsigned page_bytes, std::span<const uint8_t> rows,
                            unsigned row_bytes, const page_sink& write);

}  // namespace rr::chained
