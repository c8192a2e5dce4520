// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A new array: everything about it is known, and tried, before its members are
// written to.
//
// The superblocks exist in memory only until all that the start needs is there;
// the members are held from the first look at them to the last byte, so nobody takes
// one in between.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "service/membership.h"

namespace rr {

struct creation {
    // By role, for these devices in the order of their roles.
    std::function<Result<std::vector<md::md_superblock>>(const std::vector<member_device>&)>
        superblocks;
    bool force = false;                 // overwrite what is on the devices
    bool serve = true;                  // or leave it at the superblocks and the parity
    bool write_zeroes = false;          // by the members themselves: parity is right then
    bool parity_later = false;          // not served here: who serves it computes parity
    bool log_wanted = false;            // the array gets one as soon as parity is right
    uint64_t bitmap_chunk_sectors = 0;  // 0: md's default. Where the superblocks have one
};

// Opens the devices, which hold nothing unless forced, and plans the array on them.
// Errors as of open_members() and make_new(); EOPNOTSUPP: one cannot write zeroes.
Result<array_members> plan_creation(const creation& what, const std::vector<std::string>& paths);

// Where it is forced, durably: from here on no device belongs to anything.
Status erase_signatures(const array_members& members);

// Data areas, and some of them read back: see resync/zeroes.h. @progress as there.
// Returns what to say of it.
Result<std::string> zero_data(const array_members& members,
                              const std::function<void(uint64_t done, uint64_t total)>& progress,
                              const std::atomic<bool>& cancel);

// Writes the superblocks, durably. After an error those that were written are erased
// again.
Status write_creation(const array_members& members);

}  // namespace rr
