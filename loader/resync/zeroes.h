// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Zeroes on all members, whose parity is zero too: a new array is in sync without a
// resync that reads and writes all of it.
//
// The devices write them: a command says where, and no payload is sent. Linux does the
// same with pages of zeroes where a device cannot, which would be a resync's work in the
// foreground, so the call used here is the one that fails instead
// (FALLOC_FL_PUNCH_HOLE, which mdadm uses, too; BLKZEROOUT would write them). Unlike a
// discard it must leave zeroes. Since parity depends on that, and firmware is wrong at
// times, some of it is read back: each end of each member, and places by chance, where a
// device that gave up early, or skips what is not aligned, would be found out.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/result.h"
#include "resync/resync.h"

namespace rr {

// Zeroes @sectors from each member's data offset on, all members at once, and flushes.
// @progress as of a resync; @cancel stops early with ECANCELED. EOPNOTSUPP: a device
// cannot.
[[nodiscard]] tl::expected<void, resync_fault> zero_members(
    const std::vector<resync_member>& members, uint64_t sectors,
    const std::function<void(uint64_t done, uint64_t total)>& progress = {},
    const std::atomic<bool>* cancel = nullptr);

// Places of each member that are looked at; a place is 4 KiB.
inline constexpr uint32_t zero_samples = 66;

// Reads them: the first and the last of @sectors, the others as @seed has it. The fault
// tells the first sector that is not zero, as EIO, or cannot be read. @sectors hold one
// place at least.
[[nodiscard]] tl::expected<void, resync_fault> sample_zeroes(
    const std::vector<resync_member>& members, uint64_t sectors, uint64_t seed);

}  // namespace rr
