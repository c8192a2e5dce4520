// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What must hold, checked from outside the engine.
//
// Each action, when it is emitted:
//   - it lies in its member's data, in its slot's buffer, on sectors
//   - no read goes to a member that is out, and no write is planned for it; what
//     is rebuilt is written, and read below the frontier
//   - no parity is read for a client where it means nothing
//   - a check writes only what it could not read, a resync only parity
//   - a write reads what md's rule says: for the fewer of rmw and rcw, a way
//     that needs a block that cannot be read being out of question
//   - two writes of one row are never in flight at once
//   - a flush is only for a member that was written since its last one
//   - no write or flush is answered well while a failure is not durable in
//     every survivor's superblock, or in a broken array
// Each answer:
//   - to a request that is open, once
//   - a read's sectors are all values that the model allows
//   - an error only when two things are out: members, or bad blocks of the
//     stripe; and to what crosses a stripe, always
//   - bad sectors that it met were rewritten
//   - after a flush: nothing that was acknowledged before it was submitted can
//     be lost by an active member; after a FUA write: nothing of it
//   - in a crowd: no write waits while the others go round and round
// While the superblocks say clean: no row is written, and each is whole on the
//   disks, also after a power cut
// A bitmap: no row is written before its bits are durable on all members, and no bit goes
//   while a row of it is being written or can be lost
// Each call: no failure is forgotten, and that of a target moves the epoch
// Each job: it ends at its end or for a reason, finds what was planted and no more
// Between calls, now and then: the row locks are what their holders say, a
//   claim is that of a slot that waits
// At rest:
//   - locks free, slots back, all lists empty
//   - parity: the XOR of a row is 0; with a member out, what the others say it
//     held is what the model allows
//
// A second failure: the array is broken. Then reads are right or fail, no write
// is begun on the members, and none is answered well, also of those that were
// under way and succeed.
//
// What is emitted is judged by the state that its call cannot but have seen:
// the one at its beginning, or one that it made itself. A failure that another
// thread met meanwhile counts from the next call on.
#pragma once

#include <cstdint>

#include "world.h"

namespace rr::sim {

void check_action(world& w, uint32_t queue, const rr_action& a);
void check_answer(world& w, uint32_t queue, uint32_t tag, int32_t result);
void check_locks(world& w);
void check_rest(world& w);
// The rows as they are on the disks; only when no write is under way.
void check_rows(world& w, const char* when);

}  // namespace rr::sim
