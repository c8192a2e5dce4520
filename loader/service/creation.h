// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A new array: everything about it is known, and tried, before its members are
// written to.
//
// The superblocks exist in memory only until all that the start needs is there;
// the members are held from the first look at them to the last byte, so nobody takes
// one in between.
#pragma once

#include <functional>
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
    uint64_t bitmap_chunk_sectors = 0;  // 0: md's default. Where the superblocks have one
};

// Opens the devices, which hold nothing unless forced, and plans the array on them.
// Errors as of open_members() and make_new().
Result<array_members> plan_creation(const creation& what, const std::vector<std::string>& paths);

// Erases old signatures and writes the superblocks, durably. After an error the
// superblocks that were written are erased again.
Status write_creation(const creation& what, const array_members& members);

}  // namespace rr
