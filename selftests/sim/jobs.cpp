// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Jobs of the control plane: check and repair, resync, rebuild.
//
// An array is huge and sparse, so a job is played in pieces: the neighbours among
// the schedule's stripes, each an order of its own, ascending. The order is in the
// arena, so a successor finds it there; what has to survive a power cut is in
// checkpoint_ and superblock_*.
#include <algorithm>
#include <cerrno>

#include "world.h"

namespace rr::sim {

uint64_t world::cell_of(uint32_t row) const {
    const uint32_t chunk = plan.config.chunk_sectors;
    return (plan.stripe[row / chunk] * chunk + row % chunk) >>
           (arena->cell_shift - RR_SECTOR_SHIFT);
}

bool world::failures_are_recorded() const {
    const uint32_t epoch = static_cast<uint32_t>(arena->state >> RR_STATE_EPOCH_SHIFT);
    return epoch == superblock_epoch_ && epoch == recorded_epoch && epoch == arena->durable_epoch;
}

// The control plane has something left to do.
bool world::job_to_come() const {
    if (arena->job.kind != RR_JOB_NONE)
        return true;
    if (broken())
        return false;
    if (arena->state & RR_STATE_RESYNC)
        return !missing() && tries_left_;
    return missing() ? rebuilding() || rebuilds_left_
                     : replacing() || checks_left_ != 0 || replaces_left_ != 0;
}

// Whether nobody can touch the role's device any more.
bool world::quiet(uint32_t role) const {
    for (uint32_t i = 0; i < ios_used; i++)
        if (ios[i].live && ios[i].action.role == role &&
            (ios[i].action.act <= RR_ACT_FLUSH || ios[i].action.act >= RR_ACT_ZERO))
            return false;
    // A thread that stands still in a call, or an action that waits for room in its
    // ring, is never as old as the replacement of a device.
    if (depth_ || log_disks_[role].in_flight())
        return false;
    for (uint32_t q = 0; q < arena->queues; q++)
        if (rr_host_queue(arena, q)->action_head != rr_host_queue(arena, q)->action_tail)
            return false;
    return true;
}

void world::wake_job() {
    if (!chance_.per_mille(plan.lost_message))
        later(1 + chance_.below(plan.delay), event_kind::message, 0, 0);
}

// The first stripe with cells in [from, end); by region: of a run of them, which these
// are then.
std::optional<uint32_t> world::next_stripe(uint64_t& from, uint64_t& end, bool by_region) const {
    const uint32_t chunk = plan.config.chunk_sectors;
    for (;;) {
        if (by_region) {
            const auto run = bitmap_->next_needed(from);
            if (!run || run->begin == run->end)
                return std::nullopt;
            from = run->begin;
            end = run->end;
        }
        for (uint32_t i = 0; i < plan.stripes; i++)
            if (cell_of(i * chunk + chunk - 1) >= from && cell_of(i * chunk) < end)
                return i;
        if (!by_region)
            return std::nullopt;
        from = end;
    }
}

// Orders the next piece at or behind cell `from`. False: there is none.
bool world::begin_piece(uint32_t kind, uint64_t from) {
    const uint32_t chunk = plan.config.chunk_sectors;
    rr_job& j = arena->job;
    const bool by_region = j.by_region && (kind == RR_JOB_RESYNC || kind == RR_JOB_REBUILD);
    uint64_t end = UINT64_MAX;
    const auto first = next_stripe(from, end, by_region);
    if (!first)
        return false;
    const uint32_t i = *first;
    const uint64_t begin = std::max(from, cell_of(i * chunk));
    uint32_t last = i;
    while (last + 1 < plan.stripes && plan.stripe[last + 1] == plan.stripe[last] + 1 &&
           cell_of((last + 1) * chunk) < end)
        last++;
    j.kind = RR_JOB_NONE;
    j.by_region = by_region;
    // Nothing is between the pieces: what is skipped is as good as done.
    j.next = begin;
    j.frontier = begin;
    j.end = cell_of(last * chunk + chunk - 1) + 1;
    j.limit = plan.limit_step ? begin + plan.limit_step : j.end;
    j.at_once = plan.at_once;
    j.halt = 0;
    j.done = 0;
    j.in_work = j.ended = 0;
    j.error = 0;
    j.wrong_rows = j.unreadable_cells = 0;
    j.kind = kind;
    say("job {}: cells {} to {}", kind, begin, j.end);
    sum_->jobs++;

    job = {};
    job.begin = begin;
    job.epoch = static_cast<uint32_t>(arena->state >> RR_STATE_EPOCH_SHIFT);
    job.spoils = spoils;
    job.answered = writes_answered;
    if (plan.planted && last + 1 == plan.stripes && !missing())
        for (uint32_t s = 0; s < chunk; s++) {
            const uint32_t row = (plan.stripes - 1) * chunk + s;
            uint64_t sum = 0;
            for (uint32_t role = 0; role < plan.config.members; role++)
                sum ^= disks[role].at(row);
            const uint64_t at = (plan.stripe[plan.stripes - 1] * chunk + s) / 8;
            if (sum && (job.wrong.empty() || job.wrong.back() != at))
                job.wrong.push_back(at);
        }
    return true;
}

void world::control_job() {
    rr_job& j = arena->job;
    if (j.kind != RR_JOB_NONE) {
        if (j.ended)
            piece_over();
        else
            job_goes_on();
        return;
    }
    if (broken() || member_writing_)
        return;
    if (arena->state & RR_STATE_RESYNC) {
        if (missing() || !tries_left_)
            return;
        if (begin_piece(RR_JOB_RESYNC, j.frontier))
            wake_job();
        else if (j.by_region)
            resync_over();
    } else if (rebuilding()) {
        if (begin_piece(RR_JOB_REBUILD, j.frontier))
            wake_job();
        else
            record_member();
    } else if (missing()) {
        replace_member();
    } else if (replacing()) {
        if (begin_piece(RR_JOB_REPLACE, j.frontier))
            wake_job();
        else
            end_replacement();
    } else if (replaces_left_ && chance_.below(2)) {
        begin_replacement();
    } else if (checks_left_ && chance_.below(2)) {
        checks_left_--;
        if (begin_piece(chance_.below(2) ? RR_JOB_CHECK : RR_JOB_REPAIR, 0))
            wake_job();
    }
}

void world::job_goes_on() {
    rr_job& j = arena->job;
    check_progress();
    if (j.by_region)
        control([&] { bitmap_->done_up_to(j.frontier); });
    bool news = plan.what != kind::prompt && chance_.below(2);
    if (j.limit < j.end && chance_.below(2)) {
        j.limit = std::min(j.end, j.limit + plan.limit_step);
        news = true;
    }
    if (chance_.per_mille(plan.halt)) {
        say("job halts");
        sum_->halts++;
        j.halt = 1;
        news = true;
    }
    if (chance_.below(4) == 0)
        checkpoint();
    if (news)
        wake_job();
}

// In a crowd a job waits for a slot, and for a row, as long as a client may.
void world::check_progress() {
    constexpr uint32_t rounds_max = 100;
    const uint64_t progress = arena->job.next + arena->job.frontier;
    if (progress != job.progress) {
        job.progress = progress;
        job.answered = writes_answered;
    }
    const uint32_t rounds =
        (writes_answered - job.answered) / (plan.config.queues * plan.config.depth);
    if (plan.what == kind::crowd && rounds > rounds_max)
        wrong("a job stood at cell {} while each tag went round {} times", arena->job.frontier,
              rounds);
}

void world::piece_over() {
    rr_job& j = arena->job;
    const uint32_t kind = j.kind;
    say("job {} ended at cell {} of {}: {}", kind, j.frontier, j.end, j.error);
    if (j.in_work)
        return wrong("a job with {} cells in work said that it had ended", j.in_work);
    if (j.error || (kind == RR_JOB_REBUILD && !rebuilding()) ||
        (kind == RR_JOB_REPLACE && !replacing()))
        return job_failed();
    if (j.halt) {
        if (j.next != j.frontier)
            wrong("a halted job stands at cell {}, its frontier at {}", j.next, j.frontier);
        j.halt = j.ended = 0;
        return wake_job();
    }
    if (j.frontier != j.end || j.next != j.end || j.done)
        return wrong("a job ended at cell {}, its frontier at {}, its end at {}", j.next,
                     j.frontier, j.end);
    check_piece();
    if (j.by_region)
        control([&] { bitmap_->done_up_to(j.end); });
    // A member may have been lost after the last cell.
    if (broken() || (kind != RR_JOB_REBUILD && missing())) {
        j.kind = RR_JOB_NONE;
        return;
    }
    if (begin_piece(kind, j.end))
        return wake_job();
    if (kind == RR_JOB_REBUILD)
        return record_member();
    if (kind == RR_JOB_REPLACE)
        return end_replacement();
    if (kind == RR_JOB_RESYNC)
        resync_over();
    j.kind = RR_JOB_NONE;
}

void world::resync_over() {
    // Parity first: the superblocks must not say more than the members hold.
    for (uint32_t role = 0; role < plan.config.members; role++)
        if (!disks[role].vanished)
            disks[role].flush();
    superblock_resync_ = false;
    if (arena->job.by_region)
        bitmap_->need_nothing();
    arena->state &= ~RR_STATE_RESYNC;
    sum_->resyncs++;
}

// What a piece without an error has to have found.
void world::check_piece() {
    const rr_job& j = arena->job;
    const uint32_t epoch = static_cast<uint32_t>(arena->state >> RR_STATE_EPOCH_SHIFT);
    const bool looks = j.kind == RR_JOB_CHECK || j.kind == RR_JOB_REPAIR;
    if (looks && !job.blind && !job.again && epoch == job.epoch && !broken()) {
        if (j.wrong_rows != job.wrong.size())
            return wrong("a job found {} wrong rows, there are {}", j.wrong_rows, job.wrong.size());
        sum_->wrong_rows += job.wrong.size();
    }
    if (looks && !job.blind && epoch == job.epoch && !broken()) {
        for (uint64_t i = 0; i < std::min<uint64_t>(j.wrong_rows, RR_JOB_NOTES); i++)
            if (std::find(job.wrong.begin(), job.wrong.end(), j.wrong[i]) == job.wrong.end())
                return wrong("a job noted row {}, which is right", j.wrong[i]);
        for (uint64_t row : job.wrong)
            if (j.wrong_rows <= RR_JOB_NOTES &&
                std::find(j.wrong, j.wrong + j.wrong_rows, row) == j.wrong + j.wrong_rows)
                return wrong("a job did not note row {}", row);
    }
    if (looks && !j.unreadable_cells && spoils == job.spoils && epoch == job.epoch && !broken())
        for (uint32_t row = 0; row < plan.stripes * plan.config.chunk_sectors; row++)
            for (uint32_t role = 0; role < plan.config.members; role++)
                if (disks[role].bad(row) && cell_of(row) >= job.begin && cell_of(row) < j.end)
                    return wrong("a check left a bad sector of role {} in cell {}", role,
                                 cell_of(row));
    // Nobody but jobs writes there.
    if (plan.planted && j.kind != RR_JOB_CHECK && j.kind != RR_JOB_REPLACE && !job.blind &&
        epoch == job.epoch && !broken() &&
        cell_of((plan.stripes - 1) * plan.config.chunk_sectors) < j.end)
        for (uint32_t s = 0; s < plan.config.chunk_sectors; s++) {
            const uint32_t row = (plan.stripes - 1) * plan.config.chunk_sectors + s;
            uint64_t sum = 0;
            for (uint32_t role = 0; role < plan.config.members; role++)
                sum ^= disks[role].at(row);
            if (sum)
                return wrong("after a job of kind {} parity of sector {} is wrong", j.kind, s);
        }
}

void world::job_failed() {
    rr_job& j = arena->job;
    const uint32_t kind = j.kind;
    const uint32_t epoch = static_cast<uint32_t>(arena->state >> RR_STATE_EPOCH_SHIFT);
    const int32_t error = j.error;
    // Its target may have failed between two runs, before this one began.
    const bool target_lost =
        (kind == RR_JOB_REBUILD && !rebuilding()) || (kind == RR_JOB_REPLACE && !replacing());
    if (error == -ECANCELED && epoch == job.epoch && !broken() && !target_lost)
        return wrong("a job of kind {} was cancelled without need", kind);
    if (error == -EIO) {
        uint32_t ever = 0;
        for (uint32_t stripes : trouble)
            ever |= stripes;
        if (!ever && !broken())
            return wrong("a job of kind {} could not read cell {}, which is good", kind,
                         j.error_cell);
    }
    if (kind == RR_JOB_CHECK || kind == RR_JOB_REPAIR) {
        if (error == -EIO && !broken())
            wrong("a check gave up");
        j.kind = RR_JOB_NONE;
        return;
    }
    if (broken() || target_lost || (kind == RR_JOB_RESYNC && missing())) {
        sum_->targets_lost += target_lost;
        if (kind == RR_JOB_REBUILD && !rebuilding() && plan.bitmap)
            bitmap_->need_nothing();
        j.kind = RR_JOB_NONE;
        return;
    }
    // Once more: the blocks may have been written meanwhile.
    if (tries_left_) {
        tries_left_--;
        j.next = j.frontier;
        j.done = 0;
        j.halt = 0;
        j.error = 0;
        j.ended = 0;
        job.again = true;
        return wake_job();
    }
    if (kind == RR_JOB_REBUILD)
        fail_member(static_cast<uint32_t>(__builtin_ctz(missing())));
    if (kind == RR_JOB_REPLACE)
        fail_member(replacement());
    if (kind == RR_JOB_REBUILD && plan.bitmap)
        bitmap_->need_nothing();
    j.kind = RR_JOB_NONE;
}

// A fresh disk for the role that is missing, once that is recorded; or what it had.
void world::replace_member() {
    if (!rebuilds_left_ || !failures_are_recorded())
        return;
    const uint32_t role = static_cast<uint32_t>(__builtin_ctz(missing()));
    if (!quiet(role))
        return;
    rebuilds_left_--;
    tries_left_ = 2;
    const bool by_region = plan.bitmap && (may_return_ >> role & 1) &&
                           member_events_[role] >= bitmap_->image().events_cleared() &&
                           chance_.per_mille(plan.readd);
    may_return_ &= ~(1U << role);
    by_region ? bring_back(role) : bring_fresh(role);
    format_log(role);
    // Of a member, the queues stand still: what it lacks is counted before its flag.
    parked_ = by_region;
    if (plan.bitmap)
        bitmap_disks[role].format(bitmap_->image());
    raise_events();
    if (broken()) {
        parked_ = false;
        return;
    }
    if (plan.bitmap)
        member_events_[role] = superblock_events_;
    checkpoint_ = 0;
    superblock_rebuild_ = true;
    superblock_by_region_ = by_region;
    if (chance_.per_mille(plan.target_fails))
        later(chance_.below(chance_.below(2) ? 4000 : 400), event_kind::target, 0, role);
    if (by_region)
        bitmap_->need_all_set();
    arena->job.next = arena->job.frontier = 0;
    arena->job.by_region = by_region;
    begin_piece(RR_JOB_REBUILD, 0);
    arena->state |= RR_STATE_REBUILD;
    parked_ = false;
    sum_->rebuilds++;
    sum_->returned += by_region;
    wake_job();
}

void world::bring_fresh(uint32_t role) {
    say("role {} has a new disk", role);
    const uint32_t rows = plan.stripes * plan.config.chunk_sectors;
    disks[role].reset(rows);
    for (uint32_t row = 0; row < rows; row++)
        disks[role].format(row, chance_.next());
}

// Its cache may have been lost with the cable.
void world::bring_back(uint32_t role) {
    say("role {} is back", role);
    disk& d = disks[role];
    if (chance_.below(2))
        d.flush();
    d.power_cut(chance_);
}

// The target, or what resync has written. False: the target is out.
bool world::flush_target() {
    for (uint32_t role = 0; role < devices(); role++) {
        disk& d = disks[role];
        const bool target = (missing() >> role & 1) != 0 || role == replacement();
        if (target && !rebuilding() && !replacing())
            continue;
        if (target && (d.vanished || d.flush_errors)) {
            d.flush_errors -= d.vanished ? 0 : 1;
            fail_member(role);
            return false;
        }
        // With a log nothing is computed again after a power cut: not even what the target
        // was computed of.
        if (target || ((plan.log || (arena->state & RR_STATE_RESYNC)) && !d.vanished))
            d.flush();
    }
    return true;
}

// The superblocks tell how far it is.
void world::checkpoint() {
    const uint64_t frontier = arena->job.frontier;
    if (!(arena->state & (RR_STATE_REBUILD | RR_STATE_RESYNC | RR_STATE_REPLACE)) || broken())
        return;
    // Who is out, and not by the superblocks yet, is back after a power cut, and is not flushed.
    if ((arena->state & RR_STATE_RESYNC) && missing() != superblock_missing_)
        return;
    if (!flush_target())
        return;
    if (rebuilding() || replacing())
        raise_events();
    say("checkpoint: cell {}", frontier);
    checkpoint_ = frontier;
}

// All of the target is there: it is flushed, then the superblocks call it a member.
void world::record_member() {
    arena->job.kind = RR_JOB_NONE;
    if (broken() || !rebuilding() || !flush_target())
        return;
    member_writing_ = true;
    later(1 + chance_.below(600), event_kind::member, 0, 0);
}

void world::make_member() {
    if (!broken() && rebuilding())
        raise_events();
    if (broken() || !rebuilding()) {
        member_writing_ = false;
        return;
    }
    say("the superblocks have a new member");
    checkpoint_ = UINT64_MAX;
    superblock_missing_ = 0;
    superblock_rebuild_ = false;
    member_state_ = arena->state;
    later(chance_.below(2) ? 0 : chance_.below(200), event_kind::told, 0, 0);
}

void world::tell_member() {
    member_writing_ = false;
    if (arena->state != member_state_)
        return;
    say("role {} is a member", static_cast<uint32_t>(__builtin_ctz(missing())));
    back = missing();
    back_since = clock;
    // Bad sectors that requests met while it was missing could not be rewritten.
    spoils++;
    sum_->rebuilt_members++;
    sum_->back_members += arena->job.by_region;
    may_return_ |= missing();
    if (plan.bitmap)
        bitmap_->need_nothing();
    arena->state &= ~(RR_STATE_MISSING | RR_STATE_REBUILD);
}

void world::break_target() {
    if (!rebuilding() && !replacing())
        return;
    const uint32_t role =
        replacing() ? replacement() : static_cast<uint32_t>(__builtin_ctz(missing()));
    say("the target breaks");
    switch (chance_.below(4)) {
        case 0:
            disks[role].write_errors++;
            break;
        case 1:
            disks[role].flush_errors++;
            break;
        case 2:
            disks[role].vanished = true;
            ever_vanished |= 1U << role;
            break;
        default:
            fail_member(role);
            control_look();
    }
}

}  // namespace rr::sim
