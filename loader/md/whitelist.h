// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Which md arrays ringraid serves: a list of what is allowed, nothing else.
//
// md has many features that move data, or make a member valid only in part.
// Serving an array while ignoring one of them corrupts it without a sign, so
// a feature that is not listed here refuses the array and names itself.
// Nothing is written by these checks.
//
//   allowed                                    condition
//   level 5, layouts 0 to 3                    3 to 16 members, chunk a power
//                                              of two, 4 KiB to 1 MiB
//   no feature                                 -
//   bitmap                                     kept (bitmap.h), or cleared with our
//                                              first write where it cannot be
//   a member being rebuilt, by bitmap or all   -
//   bad block log                              the log on disk is empty
//   PPL (single or multiple)                   rows in flight are recovered from it;
//                                              cleared with our first write
//
// The PPL is cleared, not ignored: we do not maintain it, and md would trust it later, in
// starting a dirty degraded array.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"
#include "md/superblock.h"

namespace rr::md {

struct sector_range {
    uint64_t sector;  // from the start of the member
    uint64_t sectors;
};

// What serving an array asks of the caller.
struct serve_terms {
    uint32_t features_to_clear = 0;             // with the first metadata write
    std::optional<sector_range> bad_block_log;  // must pass check_bad_block_log()
};

// ENOTSUP with the reason and a hint when this superblock's array, or this
// member of it, cannot be served. Looks at nothing but @sb.
[[nodiscard]] Result<serve_terms> check_servable(const md_superblock& sb);

// ENOTSUP unless @log, the bytes of a bad block log, lists no bad block.
[[nodiscard]] Status check_bad_block_log(std::span<const uint8_t> log);

// check_servable() and, where the superblock names an active log, that log as
// read from the open member @fd. O_DIRECT-safe.
[[nodiscard]] Result<serve_terms> check_servable_member(int fd, const md_superblock& sb);

}  // namespace rr::md
