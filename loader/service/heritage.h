// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The record in the arena of whose arena it is (ringraid/life.h): filled by who
// serves, compared by who comes after.
//
// A successor may write rows of the arena only to the very disks that the dead
// daemon had, and only if nobody has written to them since. All of it must agree:
//
//   set uuid     the arena is this array's, and not one moved under its name
//   device uuid  each role has the member that it had
//   disk         and on the same disk: a copy of it (a snapshot, a clone) carries the
//                same uuids and is not where the clients' data is
//   events       nobody wrote superblocks since: md does at each start and stop, and
//   utime        takes the events back when it leaves a clean array clean
//   there        the disk was not away: see was_away()
//
// Not seen: who writes to a member and leaves its superblock alone.
#pragma once

#include "base/result.h"
#include "engine/queue.h"
#include "ringraid/life.h"
#include "service/membership.h"

namespace rr {

// What is known before anything is served. Phase: RR_LIFE_MAKING.
void fill_life(rr_life& life, const array_members& members, engine_host host, bool passthrough);

// Another device has the role. Its words change one after the other: while it is done
// the role is out, and nobody looks at them.
void remember_member(rr_life& life, uint32_t role, const member_device& now,
                     const md::uuid& device_uuid);

void forget_member(rr_life& life, uint32_t role);

// Where a member is now.
void remember_place(rr_life& life, uint32_t role, const member_device& now);

// This process serves it.
void sign(rr_life& life);

// @events as md::events_witness tells them.
void life_begins_write(rr_life& life, uint64_t events, uint64_t utime);
void life_wrote(rr_life& life, uint64_t events, uint64_t utime);

// EINVAL: the record is no record. ESTALE, with what differs: another array's.
[[nodiscard]] Status check_life(const rr_life& life, const md::uuid& set_uuid);

// Every member that is there is what the dead daemon of @array left, and so is the
// replacement; members that failed under it are not compared. A replacement may have its
// role already (has_replaced()). ESTALE, with all that is different.
[[nodiscard]] Status check_heritage(const rr_array& array, const rr_life& life,
                                    const array_members& members);

// Nobody but who keeps @life has written @found, the superblock of a member in use; it may be
// behind where a write of ours failed. By whose reservation was forgotten meanwhile.
[[nodiscard]] bool is_last_write(const rr_life& life, const md::md_superblock& found);

// The daemon died between the superblocks that gave the replacement its role and the record.
[[nodiscard]] bool has_replaced(const rr_array& array, const rr_life& life,
                                const array_members& members);

// Where @life has what has @role now: then it is behind the roles.
[[nodiscard]] uint32_t index_left(const rr_array& array, const rr_life& life,
                                  const array_members& members, uint32_t role);

// Then the rest: the arena has it in its role, and no replacement.
void end_replaced(rr_array& array, rr_life& life, const array_members& members);

// The disk of a member that agrees was detached since @life was written, and
// may have lost what it had acknowledged: a living daemon would have taken the
// member out.
[[nodiscard]] bool was_away(const rr_life& life, uint32_t role, const member_device& now);

// For people, and for looking where a member was.
[[nodiscard]] std::string life_name(const rr_life& life);
[[nodiscard]] std::string life_path(const rr_life& life, uint32_t role);
[[nodiscard]] std::string life_identity(const rr_life& life, uint32_t role);
// @now is known not to be what had @role last: a copy of it may be.
[[nodiscard]] bool is_another_disk(const rr_life& life, uint32_t role, const member_device& now);
[[nodiscard]] md::uuid life_device_uuid(const rr_life& life, uint32_t role);
[[nodiscard]] md::uuid life_set_uuid(const rr_life& life);

}  // namespace rr
