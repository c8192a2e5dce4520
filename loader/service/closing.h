// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The end of an array's service, on its members: what a stop does, and who ends
// the service of a daemon that died.
//
// Nothing is in flight. Each member in use is flushed; then the superblocks say
// clean. A member that cannot be flushed, or whose superblock cannot be written,
// has missed something: it is recorded as failed, and the rest is clean, as md has
// it. Two of them, and the array stays dirty: parity does not say what is right.
#pragma once

#include "engine/redo.h"
#include "md/update.h"
#include "ringraid/abi.h"
#include "ringraid/life.h"
#include "service/membership.h"

namespace rr {

// Finds out whether the members take writes, by writing their superblocks as they are;
// who does not is out, in @array.state. Whoever goes on raises events on the others, and
// a disk that was unwell twice would be too old to be believed.
// EIO: that is one too many.
Status try_members(rr_array& array, const array_members& members);

// Whose superblock could not be written is out.
void lose_unwritten(rr_array& array, const md::update_report& report);

// Failures that are met by who writes rows again: a disk may be well the next time,
// and the arena is what the next one goes by.
class failures_so_far {
public:
    explicit failures_so_far(const rr_array& array) : state_(array.state) {}
    // EIO: the array has failed since. What is in the arena is kept for the next try.
    [[nodiscard]] Status bearable(const rr_array& array) const;
    // What was met since is forgotten, but for what @metadata, if any, has told the others.
    void restore(rr_array& array, const md::array_metadata* metadata) const;

private:
    uint64_t state_;
};

// The member in @role, or the replacement, could not be flushed or written: it is out, in
// @array.state.
void lose_member(rr_array& array, const array_members& members, uint32_t role, const Error& why);

// What the member in @role has in its cache. False: it cannot, and is out.
bool flush_member(rr_array& array, const array_members& members, uint32_t role);

// The same, of all members that are in use.
void flush_members(rr_array& array, const array_members& members);

// EIO: two members failed, now or before; the array is dirty. Failures are put into
// @array.state, too.
Status close_array(rr_array& array, md::array_metadata& metadata, const array_members& members);

// The rows of a dead daemon's arena, written again and flushed. After the failures that
// the arena knows are durable. Errors as of redo_writes().
Result<redo_report> redo_on(std::span<std::byte> arena, const array_members& members);

// The replacement has failed, and superblocks still tell of it.
[[nodiscard]] bool lost_replacement(const rr_array& array, const md::array_metadata& metadata);

// Members that @array counts as out are let go: their devices are closed. So is a
// replacement that it has given up.
void take_out_as_left(array_members& members, const rr_array& array);

// The members as the daemon that died left them in @array and @life: what it began to change
// about a replacement is ended first, those that are out are let go, and a replacement that
// is not here has failed.
void take_as_left(array_members& members, rr_array& array, rr_life& life);

// Keeps @life's events.
md::events_witness life_witness(rr_life& life);

// Nobody has told the members' page caches what NVMe commands wrote, ours or those of
// a daemon that was killed.
void drop_caches_of(const array_members& members);

}  // namespace rr
