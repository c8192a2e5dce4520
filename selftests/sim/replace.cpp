// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A member that is there is replaced: its disk's copy is behind the roles until all of
// it is there; then nothing is in flight, and the two change places.
//
// What is checked there is the whole of it: each sector of the copy is the member's.
#include <algorithm>

#include "world.h"

namespace rr::sim {

// No queue has a write that it will issue again.
bool world::nothing_waits() const {
    for (uint32_t q = 0; q < arena->queues; q++)
        if (rr_host_queue(arena, q)->retry_count)
            return false;
    return true;
}

void world::begin_replacement() {
    const uint32_t role = chance_.below(plan.config.members);
    if (!failures_are_recorded() || !quiet(replacement()) || !nothing_waits())
        return;
    say("role {} is to be replaced", role);
    replaces_left_--;
    tries_left_ = 2;
    bring_fresh(replacement());
    parked_ = true;
    arena->members[replacement()].data_offset = arena->members[role].data_offset;
    arena->replaced = role;
    raise_events();
    // What they were to be told meanwhile.
    wake_queues();
    if (broken() || missing()) {
        parked_ = false;
        return;
    }
    checkpoint_ = 0;
    superblock_replace_ = true;
    if (chance_.per_mille(plan.target_fails))
        later(chance_.below(chance_.below(2) ? 4000 : 400), event_kind::target, 0, role);
    arena->job.next = arena->job.frontier = 0;
    arena->job.by_region = 0;
    begin_piece(RR_JOB_REPLACE, 0);
    arena->state |= RR_STATE_REPLACE;
    parked_ = false;
    sum_->replacements++;
    wake_job();
}

// All of it is there: flushed, then the superblocks say whose place it has. The job is
// over in the same moment, or what was behind its last cell would be written no more.
void world::end_replacement() {
    const uint32_t role = arena->replaced;
    const uint32_t rows = plan.stripes * plan.config.chunk_sectors;
    if (broken() || !replacing()) {
        arena->job.kind = RR_JOB_NONE;
        return;
    }
    // Once more when nothing is in flight.
    if (!failures_are_recorded() || !quiet(role) || !quiet(replacement()) || !nothing_waits())
        return;
    if (!flush_target()) {
        arena->job.kind = RR_JOB_NONE;
        return;
    }
    for (uint32_t row = 0; row < rows; row++)
        if (disks[replacement()].at(row) != disks[role].at(row))
            return wrong("the replacement of role {} has another sector {}", role, row);
    parked_ = true;
    if (plan.bitmap)
        bitmap_disks[replacement()].format(bitmap_->image());
    raise_events();
    parked_ = false;
    wake_queues();
    arena->job.kind = RR_JOB_NONE;
    if (broken() || !replacing())
        return;
    say("role {} is replaced", role);
    superblock_replace_ = false;
    checkpoint_ = UINT64_MAX;
    // What was to befall it as a target befalls no member.
    disks[replacement()].write_errors = disks[replacement()].flush_errors = 0;
    std::swap(disks[role], disks[replacement()]);
    std::swap(bitmap_disks[role], bitmap_disks[replacement()]);
    format_log(role);
    arena->state &= ~RR_STATE_REPLACE;
    spoils++;
    sum_->replaced++;
}

}  // namespace rr::sim
