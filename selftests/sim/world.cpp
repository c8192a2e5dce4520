// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "world.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "check.h"
#include "engine/redo.h"
#include "interleave.h"
#include "xor_model.h"

namespace {

rr::sim::world* playing;

}  // namespace

void rr_sim_interleave() {
    playing->interleave();
}

extern "C" void rr_sim_interleave_control();
void rr_sim_interleave_control() {
    playing->control_word();
}

namespace rr::sim {
namespace {

constexpr uint32_t no_role = 0xff;
constexpr uint64_t memory_bytes = 64ULL << 20;
constexpr uint64_t tick = 200;
constexpr uint64_t poll = 1500;
constexpr uint32_t ios_max = 8192;
// A tick is ten milliseconds.
constexpr auto unit = std::chrono::microseconds(50);
constexpr uint32_t outage_longest = 12000;
// Of others, in the middle of one call. A long line of waiters touches much.
constexpr uint32_t turns_max = 6;
// It waits for members meanwhile.
constexpr uint32_t control_turns_max = 20;

bool later_than(const event& a, const event& b) {
    return a.time != b.time ? a.time > b.time : a.order > b.order;
}

bool on_member(uint32_t act) {
    return (act >= RR_ACT_READ_DIRECT && act <= RR_ACT_FLUSH) || act >= RR_ACT_ZERO;
}
bool is_write(uint32_t act) {
    return act == RR_ACT_WRITE || act == RR_ACT_WRITE_FUA || act >= RR_ACT_ZERO;
}
// Done by the host there and then: nothing can go wrong.
bool is_own(uint32_t act) {
    return act == RR_ACT_FUSE || act == RR_ACT_BLANK;
}

}  // namespace

world::world() {
    void* m =
        mmap(nullptr, memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m == MAP_FAILED)
        std::abort();
    memory_ = static_cast<std::byte*>(m);
    arena = reinterpret_cast<rr_array*>(memory_);
    ios.resize(ios_max);
    heap_.reserve(8192);
    free_ios_.reserve(ios_max);
    requests_.resize(queues_max * tags_max);
    notes_.resize(queues_max * slots_max);
}

world::~world() {
    munmap(memory_, memory_bytes);
}

uint32_t world::row_of(const rr_action& a) const {
    const uint64_t offset = arena->members[a.role].data_offset;
    const uint64_t sector = a.position >> RR_SECTOR_SHIFT;
    const uint32_t chunk = plan.config.chunk_sectors;
    if (sector < offset)
        return UINT32_MAX;
    const uint64_t in_data = sector - offset;
    const uint32_t in_chunk = static_cast<uint32_t>(in_data % chunk);
    if (in_chunk + a.length / 512 > chunk)
        return UINT32_MAX;
    for (uint32_t i = 0; i < plan.stripes; i++)
        if (plan.stripe[i] == in_data / chunk)
            return i * chunk + in_chunk;
    return UINT32_MAX;
}

void world::expand(uint64_t address, uint64_t value) {
    uint64_t* to = reinterpret_cast<uint64_t*>(sector_at(address));
    for (uint32_t i = 0; i < 64; i++)
        to[i] = value;
}

uint64_t world::compress(uint64_t address) {
    const uint64_t* from = reinterpret_cast<const uint64_t*>(sector_at(address));
    uint64_t differ = 0;
    for (uint32_t i = 1; i < 64; i++)
        differ |= from[i] ^ from[0];
    if (differ)
        wrong("a sector in a buffer is not of one piece");
    return from[0];
}

void world::later(uint64_t delay, event_kind what, uint32_t queue, uint32_t index) {
    heap_.push_back(
        {now_ + delay, order_++, what, static_cast<uint8_t>(queue), static_cast<uint16_t>(index)});
    std::push_heap(heap_.begin(), heap_.end(), later_than);
}

void world::prepare() {
    const array_config& c = plan.config;
    chance_ = rng(plan.seed ^ 0x5eed);
    now_ = 0;
    order_ = events_ = 0;
    heap_.clear();
    failure_.clear();
    submitted_ = outstanding_ = serial_ = 0;
    stream_stripe_ = stream_at_ = 0;
    clock = 1;
    writes_answered = 0;
    over_ = false;
    trouble.fill(0);
    ever_vanished = spoils = away = 0;
    in_tick = false;
    known = plan.missing;
    recorded_epoch = 0;
    depth_ = active_ = until_ = turning_ = 0;
    written.fill(0);
    covered.fill(0);
    triggered_.fill(false);
    struck_.fill(false);
    superblock_writing_ = durable_telling_ = poll_planned_ = false;
    rests_ = 0;
    back = back_since = 0;
    job = {};
    checkpoint_ = 0;
    superblock_rebuild_ = superblock_replace_ = false;
    superblock_resync_ = plan.resync;
    checks_left_ = plan.checks;
    replaces_left_ = plan.replaces;
    rebuilds_left_ = plan.rebuild ? 3 : 0;
    tries_left_ = 2;
    superblock_missing_ = plan.missing;
    superblock_epoch_ = 0;
    acknowledged.assign(plan.requests + 2, 0);
    writers.assign(1, {});
    for (client_request& r : requests_)
        r.busy = false;

    Result<arena_layout> layout = plan_layout(c);
    if (!layout)
        return wrong("no layout: {}", layout.error().what);
    layout_ = *layout;
    if (layout_.bytes > memory_bytes)
        return wrong("the arena needs {} bytes", layout_.bytes);

    const uint32_t full = full_stripe();
    reference.reset(plan.seed, plan.stripes * full, plan.what == kind::power_cut);
    for (uint32_t role = 0; role < c.members; role++)
        disks[role].reset(plan.stripes * c.chunk_sectors);
    for (uint32_t i = 0; i < plan.stripes; i++) {
        const uint32_t parity = rr_parity_member(&layout_.header.geometry, plan.stripe[i]);
        for (uint32_t s = 0; s < c.chunk_sectors; s++) {
            const uint32_t row = i * c.chunk_sectors + s;
            uint64_t sum = 0;
            for (uint32_t d = 0; d + 1 < c.members; d++) {
                const uint64_t value = reference.value(i * full + d * c.chunk_sectors + s, 0);
                disks[rr_data_member(&layout_.header.geometry, parity, d)].format(row, value);
                sum ^= value;
            }
            disks[parity].format(row, plan.resync && chance_.below(2) ? chance_.next() : sum);
        }
    }
    if (plan.planted)
        disks[chance_.below(c.members)].format(
            (plan.stripes - 1) * c.chunk_sectors + chance_.below(c.chunk_sectors), chance_.next());
    // What is missing must not be looked at.
    for (uint32_t role = 0; role < c.members; role++)
        if (plan.missing >> role & 1)
            for (uint32_t row = 0; row < plan.stripes * c.chunk_sectors; row++)
                disks[role].format(row, chance_.next());
    for (uint32_t i = 0; i < plan.bad_sectors; i++)
        spoil_somewhere();
    std::memset(memory_, 0xa5, layout_.bytes);
    init_arena({memory_, layout_.bytes}, layout_, plan.missing);
    std::memset(memory_ + layout_.header.buffers_offset, 0xa5,
                layout_.bytes - layout_.header.buffers_offset);
    if (plan.resync)
        arena->state |= RR_STATE_RESYNC;
    make_judge();
    deaths_left_ = 0;
    depth_ = active_ = ios_used = turning_ = 0;
    parked_ = resting_ = clean = false;
    superblock_by_region_ = false;
    format_bitmap();
    deaths_left_ = plan.deaths;
    plan_death();
    format_logs();
}

// Queues and their host start, at boot and after a crash.
void world::restart_clients() {
    resting_ = true;
    parked_ = false;
    make_judge();
    heap_.clear();
    free_ios_.clear();
    ios_used = 0;
    timer_armed_.fill(false);
    drain_planned_.fill(false);
    desk_.emplace(arena);
    seen_.fill(0);
    std::fill(notes_.begin(), notes_.end(), slot_note{});
    superblock_writing_ = durable_telling_ = poll_planned_ = false;
    member_writing_ = false;
    // Who starts has made them dirty.
    clean = getting_up_ = false;
    rest_ = 0;
    for (uint32_t q = 0; q < plan.config.queues; q++)
        rr_host_queue(arena, q)->fused = plan.fused && chance_.below(8);
    for (uint32_t q = 0; q < plan.config.queues; q++)
        for (uint32_t tag = 0; tag < plan.config.depth; tag++) {
            if (!request(q, tag).busy)
                later(chance_.below(plan.think + 1), event_kind::submit, q, tag);
        }
    for (uint32_t i = 0; i < plan.fault_count; i++)
        if (triggered_[i] && !struck_[i])
            later(chance_.below(plan.faults[i].delay + 1), event_kind::fault, 0, i);
    if (arena->job.kind != RR_JOB_NONE)
        wake_job();
    plan_poll();
    for (uint32_t q = 0; q < plan.config.queues; q++)
        for (uint32_t tag = 0; tag < plan.config.depth; tag++)
            if (request(q, tag).busy)
                client_start(q, tag);
    resting_ = false;
}

const std::string& world::run(const schedule& s, bool verbose, totals& sum) {
    playing = this;
    plan = s;
    verbose_ = verbose;
    sum_ = &sum;
    prepare();
    if (failure_.empty()) {
        say("{}: {} members, chunk {}, layout {}, {} queues x {} tags, {} slots, cell {}, {} "
            "stripes, missing {:#x}",
            kind_name(s.what), s.config.members, s.config.chunk_sectors, s.config.layout,
            s.config.queues, s.config.depth, s.config.slots, (1U << arena->cell_shift) / 512,
            s.stripes, s.missing);
        mortally([this] {
            raise_events();
            restart_clients();
            trigger_faults();
        });
    }
    // Who waits for members looks on at every tick, and so does who asks what an error means.
    const uint32_t limit = (20000 + plan.requests * 300) * (plan.outages ? 8 : 1);
    while (failure_.empty() && !over_ && !heap_.empty()) {
        std::pop_heap(heap_.begin(), heap_.end(), later_than);
        const event e = heap_.back();
        heap_.pop_back();
        now_ = e.time;
        mortally([&] { turn(e); });
        if (++events_ > limit)
            wrong("no end: {} requests are open after {} events", outstanding_, events_);
    }
    if (failure_.empty() && !over_) {
        if (outstanding_ || submitted_ < plan.requests)
            wrong("{} requests are never answered: nothing is in flight, no timer runs",
                  outstanding_);
        if ((plan.what == kind::healthy && missing()) ||
            ((plan.what == kind::healthy || plan.what == kind::degraded) && broken()))
            wrong("a member failed, and none was to");
        if (failure_.empty())
            check_rest(*this);
        if (failure_.empty())
            check_rows(*this, "at rest");
        if (failure_.empty())
            close_bitmap();
    }
    if (!failure_.empty() && verbose_)
        dump();
    sum.schedules++;
    sum.bitmaps += plan.bitmap;
    sum.logs += plan.log;
    sum.requests += submitted_;
    sum.events += events_;
    if (!over_ && failure_.empty())
        for (uint32_t q = 0; q < arena->queues; q++) {
            const rr_counters& n = rr_host_queue(arena, q)->count;
            sum.lock_waits += n.lock_waits;
            sum.region_waits += n.region_waits;
            sum.slot_waits += n.slot_waits;
            sum.held += n.held_acks;
            sum.replans += n.replans;
            sum.rebuilt += n.rebuilt_reads;
            sum.repaired += n.repaired;
            sum.rmw += n.rmw_cells;
            sum.rcw += n.rcw_cells;
            sum.full += n.full_cells;
            sum.recon += n.recon_cells;
            sum.payload += n.payload_cells;
            sum.retries += n.retries;
            sum.flushes += n.member_flushes;
            sum.gathered += rr_host_queue(arena, q)->gathered;
            sum.zeroed += rr_host_queue(arena, q)->zeroed_cells;
        }
    return failure_;
}

// A death in the middle of it is followed by what comes after one.
template <typename F>
void world::mortally(F f) {
    std::optional<death> how;
    try {
        f();
    } catch (const death& met) {
        how = met;
    }
    while (how) {
        const bool power = how->power;
        how.reset();
        depth_ = active_ = turning_ = 0;
        parked_ = resting_ = false;
        sum_->deaths++;
        try {
            power ? power_cut() : kill();
        } catch (const death& met) {
            how = met;
        }
    }
}

// What is not at rest, for a person who looks at a failure.
void world::dump() {
    say("state {:#x}, durable epoch {}", arena->state, arena->durable_epoch);
    for (uint32_t n = 0; n < arena->queues; n++) {
        const rr_queue* q = rr_host_queue(arena, n);
        say("q{}: free slots {}, heads: slot_wait {:#x} held {:#x} flush {:#x} {:#x} lock_wait "
            "{:#x}, retries {}",
            n, q->free_slots, q->slot_wait.head, q->held.head, q->flush_now.head,
            q->flush_next.head, q->lock_wait.head, q->retry_count);
        for (uint32_t i = 0; i < arena->slots; i++) {
            const rr_slot* s = rr_host_slot(arena, n, i);
            if (s->phase != RR_PHASE_FREE)
                say("  slot {}: tag {} phase {} plan {} pending {} lock {} mask {:#x} locked {} "
                    "word {:#x}",
                    i, s->tag, s->phase, s->plan, s->pending, s->lock, s->lock_mask, s->locked,
                    reinterpret_cast<const rr_lock*>(memory_ + arena->locks_offset)[s->lock].units);
        }
        for (uint32_t tag = 0; tag < arena->depth; tag++) {
            const rr_request* r = rr_host_request(arena, n, tag);
            if (request(n, tag).busy)
                say("  tag {}: pending {} wanted {:#x} flags {:#x} error {}", tag, r->pending,
                    r->wanted_roles, r->flags, r->error);
        }
    }
}

void world::turn(const event& e) {
    switch (e.what) {
        case event_kind::complete:
            finish(e.index);
            break;
        case event_kind::ask:
            desk_->ask(e.queue, ios[e.index].action.role);
            asks_[e.queue][ios[e.index].action.role] = e.index;
            send_flush(ios[e.index].action.role);
            break;
        case event_kind::flushed:
            flush_ended(e.index);
            break;
        case event_kind::submit:
            client_submit(e.queue, e.index);
            break;
        case event_kind::gather:
            queue_call(e.queue, [&] { rr_host_settle(arena, e.queue); });
            break;
        case event_kind::message:
            say("q{} message", e.queue);
            queue_call(e.queue, [&] { rr_host_message(arena, e.queue); });
            break;
        case event_kind::timer:
            say("q{} tick", e.queue);
            timer_armed_[e.queue] = false;
            queue_call(e.queue, [&] { rr_host_tick(arena, e.queue); }, true);
            break;
        case event_kind::drain:
            drain_planned_[e.queue] = false;
            drain(e.queue, true);
            settle(e.queue);
            break;
        case event_kind::notify:
            control_look();
            break;
        case event_kind::poll:
            poll_planned_ = false;
            // (With a log nobody goes on before a failure is recorded.)
            if (plan.what == kind::prompt && heap_.empty() && job_waits() &&
                !(plan.log && !failures_are_recorded()))
                wrong("a job is never woken at cell {}", arena->job.next);
            if (plan.what == kind::prompt && heap_.empty() && region_waits())
                wrong("a write waits for its region for ever");
            control_look();
            // Where nothing else is to come, nothing is in flight and no timer runs.
            if (!heap_.empty() || some_write_waits() || region_waits() || job_to_come() ||
                (arena->state >> RR_STATE_EPOCH_SHIFT) != arena->durable_epoch)
                plan_poll();
            break;
        case event_kind::superblock:
            control_superblock();
            break;
        case event_kind::durable:
            durable_telling_ = false;
            say("durable epoch {}", superblock_epoch_);
            arena->durable_epoch = superblock_epoch_;
            wake_queues();
            if (plan.log)
                later(1 + chance_.below(plan.delay), event_kind::log_message, 0, 0);
            break;
        case event_kind::dirty:
            raise_events();
            say("awake");
            clean = getting_up_ = false;
            rest_ = arena->rest = 0;
            wake_queues();
            break;
        case event_kind::member:
            make_member();
            break;
        case event_kind::told:
            tell_member();
            break;
        case event_kind::target:
            break_target();
            break;
        case event_kind::fault:
            strike(e.index);
            break;
        case event_kind::back:
            end_outage();
            break;
        case event_kind::log_poll:
            log_poll_planned_ = false;
            [[fallthrough]];
        case event_kind::log_message:
            log_turn([] {});
            break;
        case event_kind::logged:
            finish_log(e.index);
            break;
    }
}

void world::plan_poll() {
    poll_planned_ = true;
    uint64_t wait = plan.rest ? poll / 20 : job_to_come() ? poll / 5 : poll;
    if (plan.bitmap)
        wait = std::min(wait, bitmap_->wait() < std::chrono::seconds(1) ? poll / 20 : poll / 5);
    later(wait, event_kind::poll, 0, 0);
}

// The job has something to do that nobody needs to tell it of.
bool world::job_waits() const {
    const rr_job& j = arena->job;
    return j.kind != RR_JOB_NONE && !j.ended && (j.in_work || j.halt || j.next < j.limit);
}

// A call of the engine by a thread. `known` is what it has seen for sure.
void world::enter(uint32_t thread) {
    if (!depth_)
        turns_left_ = thread >= control_thread ? control_turns_max : turns_max;
    calls_[depth_++] = {thread, arena->state, arena->state};
    active_ |= 1U << thread;
}

void world::leave(uint32_t thread) {
    const call& mine = calls_[--depth_];
    active_ &= ~(1U << thread);
    known = arena->state != mine.left ? arena->state : mine.known;
    // Nothing else takes back what others have put there.
    if ((mine.left & ~arena->state & (RR_STATE_MISSING | RR_STATE_BROKEN)) != 0)
        wrong("a failure was forgotten: state {:#x} became {:#x}", mine.left, arena->state);
    if ((mine.left & ~arena->state & (RR_STATE_REBUILD | RR_STATE_REPLACE)) != 0 &&
        mine.left >> RR_STATE_EPOCH_SHIFT == arena->state >> RR_STATE_EPOCH_SHIFT)
        wrong("a target's failure moved no epoch: state {:#x} became {:#x}", mine.left,
              arena->state);
}

// The control plane takes it out.
void world::fail_member(uint32_t role) {
    engine(control_thread, [&] { rr_host_fail(arena, role, -EIO); });
}

template <typename F>
void world::queue_call(uint32_t queue, F f, bool tick) {
    engine(queue, f);
    in_tick = tick;
    settle(queue);
}

uint32_t world::thread_of(const event& e) const {
    switch (e.what) {
        case event_kind::notify:
        case event_kind::poll:
        case event_kind::superblock:
        case event_kind::durable:
        case event_kind::dirty:
        case event_kind::member:
        case event_kind::told:
        case event_kind::target:
        case event_kind::fault:
        case event_kind::back:
            return control_thread;
        case event_kind::log_message:
        case event_kind::logged:
        case event_kind::log_poll:
            return log_thread;
        case event_kind::ask:
        case event_kind::flushed:
            return flusher_thread;
        default:
            return e.queue;
    }
}

// The next turn of a thread that is in no call, now; or the control plane's, or
// one that meets an error. False: there is none.
bool world::turn_of_another() {
    enum { next, of_control, of_error, ways };
    std::array<size_t, ways> first;
    first.fill(heap_.size());
    auto offer = [&](uint32_t way, size_t i) {
        if (first[way] == heap_.size() || later_than(heap_[first[way]], heap_[i]))
            first[way] = i;
    };
    for (size_t i = 0; i < heap_.size(); i++) {
        const event& e = heap_[i];
        const uint32_t thread = thread_of(e);
        if (active_ >> thread & 1 || e.what == event_kind::poll)
            continue;
        // Ticks that come before their time are nothing but ticks, and without an end.
        if ((e.what == event_kind::timer || e.what == event_kind::log_poll) && e.time > now_)
            continue;
        // A death in the middle of a call is not played.
        if (e.what == event_kind::fault && (plan.faults[e.index].what == fault_kind::kill ||
                                            plan.faults[e.index].what == fault_kind::power_cut))
            continue;
        offer(next, i);
        if (thread == control_thread)
            offer(of_control, i);
        if (e.what == event_kind::complete && ios[e.index].result < 0)
            offer(of_error, i);
    }
    size_t chosen = first[chance_.below(ways)];
    if (chosen == heap_.size())
        chosen = first[next];
    if (chosen == heap_.size())
        return false;
    const event e = heap_[chosen];
    heap_[chosen] = heap_.back();
    heap_.pop_back();
    std::make_heap(heap_.begin(), heap_.end(), later_than);
    sum_->interleaved++;
    events_++;
    turn(e);
    return true;
}

// Most of what can go wrong between threads does so while members fail, and
// that is recorded.
bool world::members_fail() const {
    if (superblock_writing_ || durable_telling_)
        return true;
    for (uint32_t role = 0; role < plan.config.members && !broken(); role++)
        if (!(missing() >> role & 1) && (disks[role].vanished || disks[role].write_errors))
            return true;
    return false;
}

void world::interleave() {
    if (!plan.interleave || !depth_ || resting_ || parked_)
        return;
    if (until_ > 0) {
        until_--;
        return;
    }
    until_ = chance_.below(2 * (members_fail() ? 2 : plan.interleave));
    let_others(chance_.between(1, 3));
}

void world::let_others(uint32_t turns) {
    // What the harness does in a turn of others is no step of the call that gave it.
    if (turning_ == depth_)
        return;
    const uint32_t before = std::exchange(turning_, depth_);
    call& mine = calls_[depth_ - 1];
    if (arena->state != mine.left)
        mine.known = arena->state;
    for (; turns > 0 && turns_left_ > 0; turns--) {
        turns_left_--;
        if (!failure_.empty() || !turn_of_another())
            break;
    }
    mine.left = arena->state;
    turning_ = before;
}

// After every call of the engine: check what it did, then be its host.
void world::settle(uint32_t queue) {
    rr_queue* q = rr_host_queue(arena, queue);
    if (q->action_tail - q->action_head > arena->actions)
        return wrong("queue {}'s action ring overflows", queue);
    const auto* ring = reinterpret_cast<const rr_action*>(
        memory_ + arena->actions_offset + uint64_t{queue} * arena->actions * sizeof(rr_action));
    for (; seen_[queue] != q->action_tail; seen_[queue]++)
        check_action(*this, queue, ring[seen_[queue] & (arena->actions - 1)]);
    if ((verbose_ || events_ % 16 == 0) && !depth_ && arena->queues * arena->slots <= 32)
        check_locks(*this);
    if (!failure_.empty())
        return;
    for (uint32_t i = 0; i < arena->queues; i++)
        if (q->wake_mask >> i & 1 && !chance_.per_mille(plan.lost_message))
            later(1 + chance_.below(plan.delay), event_kind::message, i, 0);
    q->wake_mask = 0;
    if (q->notify && !chance_.per_mille(plan.lost_message))
        later(1 + chance_.below(100), event_kind::notify, 0, 0);
    q->notify = 0;
    if (q->log_news)
        tell_log(queue);
    if (q->tick_wanted && !timer_armed_[queue] && plan.what != kind::prompt) {
        timer_armed_[queue] = true;
        later(tick, event_kind::timer, queue, 0);
    }
    drain(queue, false);
}

void world::drain(uint32_t queue, bool all) {
    uint32_t room = UINT32_MAX;
    if (drain_planned_[queue])
        return;
    if (!all && chance_.per_mille(plan.throttle))
        room = chance_.below(4);
    rr_queue* q = rr_host_queue(arena, queue);
    while (failure_.empty() && !over_ && q->action_head != q->action_tail) {
        if (room-- == 0) {
            drain_planned_[queue] = true;
            later(1 + chance_.below(10), event_kind::drain, queue, 0);
            return;
        }
        const rr_action a = *rr_host_action(arena, queue);
        take(queue, a);
    }
}

void world::take(uint32_t queue, const rr_action& a) {
    if (a.act == RR_ACT_COMMIT)
        answer(queue, a.tag, static_cast<int32_t>(a.length));
    else
        issue(queue, a);
}

void world::trigger_faults() {
    for (uint32_t i = 0; i < plan.fault_count; i++)
        if (!triggered_[i] && submitted_ >= plan.faults[i].after) {
            triggered_[i] = true;
            later(plan.faults[i].delay, event_kind::fault, 0, i);
        }
}

void world::follow_stream(request_shape& q) {
    q.stripe = stream_stripe_;
    q.start = stream_at_;
    q.sectors = std::min(plan.stream_sectors, full_stripe() - stream_at_);
    stream_at_ = (stream_at_ + q.sectors) % full_stripe();
    if (stream_at_ == 0)
        stream_stripe_ = (stream_stripe_ + 1) % plan.client_stripes();
}

void world::client_submit(uint32_t queue, uint32_t tag) {
    if (submitted_ >= plan.requests)
        return;
    submitted_++;
    outstanding_++;
    request_shape shape = make_request(plan, chance_);
    if (shape.op == RR_OP_READ && !shape.refused && chance_.per_mille(plan.streams))
        follow_stream(shape);
    client_request& r = request(queue, tag);
    r.busy = true;
    r.op = shape.zeroes() ? uint8_t{RR_OP_WRITE} : shape.op;
    r.zeroes = shape.zeroes();
    sum_->zeroes += r.zeroes;
    r.fua = shape.fua;
    r.unstable = shape.unstable;
    r.may_fail = false;
    r.refused = shape.refused;
    r.shared = false;
    r.met_count = 0;
    r.spoils = spoils;
    r.writes_before = writes_answered;
    r.member_sectors = 0;
    r.flags = static_cast<uint8_t>((shape.fua ? RR_REQ_FUA : 0) | (shape.copy ? RR_REQ_COPY : 0));
    r.stripe = shape.stripe;
    r.sectors = shape.sectors;
    r.sector =
        shape.op == RR_OP_FLUSH ? 0 : plan.stripe[shape.stripe] * full_stripe() + shape.start;
    r.base = shape.stripe * full_stripe() + shape.start;
    r.asked = shape.op;
    r.asked_sector = r.sector;
    r.asked_sectors = r.sectors;
    if (shape.op == RR_OP_DISCARD)
        narrow(r, full_stripe());
    r.serial = ++serial_;
    if (r.zeroes)
        reference.zeroes(2 * r.serial);
    r.submitted = ++clock;
    r.resync = (arena->state & RR_STATE_RESYNC) != 0;
    if (r.pages.size() < r.sectors)
        r.pages.resize(r.sectors);
    if (r.op == RR_OP_WRITE && !r.refused)
        for (uint32_t i = 0; i < r.sectors; i++) {
            reference.submit(r.base + i, 2 * r.serial, clock);
            if (r.unstable)
                reference.submit(r.base + i, 2 * r.serial + 1, clock);
        }
    trigger_faults();
    client_start(queue, tag);
}

// A discard is of whole stripes.
void world::narrow(client_request& r, uint32_t full) {
    const uint32_t before = (full - r.base % full) % full;
    r.sectors = r.sectors > before ? (r.sectors - before) / full * full : 0;
    r.sector += before;
    r.base += before;
    r.stripe = r.base / full;
}

void world::client_start(uint32_t queue, uint32_t tag) {
    client_request& r = request(queue, tag);
    rr_request* q = rr_host_request(arena, queue, tag);
    say("q{} tag {} #{} {} {} sectors at {}{}{}", queue, tag, r.serial,
        r.asked == RR_OP_READ      ? "read"
        : r.asked == RR_OP_WRITE   ? "write"
        : r.asked == RR_OP_ZEROES  ? "zeroes"
        : r.asked == RR_OP_DISCARD ? "discard"
                                   : "flush",
        r.asked_sectors, r.asked_sector, r.fua ? " fua" : "", r.unstable ? " unstable" : "");
    q->op = r.asked;
    q->flags = r.flags;
    q->sector = r.asked_sector;
    q->sectors = r.asked_sectors;
    if (r.op == RR_OP_READ)
        std::fill_n(r.pages.begin(), r.sectors, 0xdeadULL);
    if (chance_.per_mille(plan.together)) {
        queue_call(queue, [&] { rr_host_arrive(arena, queue, tag); });
        later(1 + chance_.below(plan.delay), event_kind::gather, queue, 0);
    } else {
        queue_call(queue, [&] { rr_host_start(arena, queue, tag); });
    }
}

std::vector<uint32_t> world::tags_of(uint32_t queue, const rr_slot& s) const {
    std::vector<uint32_t> tags{s.tag};
    for (uint32_t rider = s.more.head; rider != RR_NIL && tags.size() <= plan.config.depth;) {
        const rr_slot* ticket =
            rider < RR_TICKET ? nullptr : rr_host_slot(arena, queue, rider - RR_TICKET);
        tags.push_back(ticket != nullptr ? ticket->tag : rider);
        rider = ticket != nullptr ? ticket->next : rr_host_request(arena, queue, rider)->next;
    }
    return tags;
}

void world::answer(uint32_t queue, uint32_t tag, int32_t result) {
    client_request& r = request(queue, tag);
    if (tag >= plan.config.depth || !r.busy)
        return wrong("queue {} answered tag {}, which has no request", queue, tag);
    say("q{} tag {} #{} answered {}", queue, tag, r.serial, result);
    clock++;
    check_answer(*this, queue, tag, result);
    r.busy = false;
    outstanding_--;
    if (result < 0)
        sum_->errors++;
    writes_answered += r.op == RR_OP_WRITE;
    if (r.refused) {
        // Nothing of it was begun.
    } else if (r.op == RR_OP_WRITE && result >= 0) {
        uint32_t oldest = clock;
        for (const client_request& other : requests_)
            if (other.busy && other.op == RR_OP_READ)
                oldest = std::min(oldest, other.submitted);
        for (uint32_t i = 0; i < r.sectors; i++)
            reference.acknowledge(r.base + i, 2 * r.serial, 2 * r.serial + 1, r.submitted, clock,
                                  r.fua, oldest);
        acknowledged[r.serial] = clock;
    } else if (r.op == RR_OP_WRITE) {
        for (uint32_t i = 0; i < r.sectors; i++)
            reference.refuse(r.base + i, 2 * r.serial, 2 * r.serial + 1, clock);
    } else if (r.op == RR_OP_FLUSH && result >= 0) {
        reference.flushed(r.submitted);
    }
    if (submitted_ < plan.requests)
        later(chance_.below(plan.think + 1), event_kind::submit, queue, tag);
}

void world::issue(uint32_t queue, const rr_action& a) {
    if (free_ios_.empty() && ios_used == ios_max)
        return wrong("more than {} I/Os in flight", ios_max);
    uint16_t index = static_cast<uint16_t>(ios_used);
    if (free_ios_.empty()) {
        ios_used++;
    } else {
        index = free_ios_.back();
        free_ios_.pop_back();
    }
    io& x = ios[index];
    x = {};
    x.action = a;
    x.queue = static_cast<uint8_t>(queue);
    x.live = true;
    x.sectors = a.length / 512;
    if (on_member(a.act) && a.act != RR_ACT_FLUSH)
        x.row = row_of(a);
    x.job = of_job(queue, a);
    if (a.act == RR_ACT_FLUSH)
        return later(1 + chance_.below(30), event_kind::ask, queue, index);
    if (a.act == RR_ACT_READ && !x.job &&
        rr_host_slot(arena, queue, rr_token_index(a.token))->more.head != RR_NIL)
        request(queue, a.tag).shared = true;
    if (is_write(a.act) && !x.job && request(queue, a.tag).op == RR_OP_WRITE) {
        std::vector<uint32_t> serials;
        for (uint32_t tag : tags_of(queue, *rr_host_slot(arena, queue, rr_token_index(a.token))))
            serials.push_back(request(queue, tag).serial);
        x.writer = static_cast<uint32_t>(writers.size());
        writers.push_back(std::move(serials));
    }
    decide(x);
    say("q{} tag {} act {} role {} row {} sectors {} -> {}", queue, a.tag, a.act, a.role, x.row,
        x.sectors, x.result);
    if (x.good)
        move(x, chance_.below(x.good + 1));
    uint64_t delay = 1 + chance_.below(on_member(a.act) ? plan.delay : 3);
    if (chance_.per_mille(plan.slow))
        delay *= 10;
    later(delay, event_kind::complete, queue, index);
}

// Errors that a member may get over.
constexpr int32_t passing[] = {-EAGAIN, -EINTR, -ENOMEM, -ECANCELED};

// What had completed when it starts is durable; and some of what had not, as disks do it.
void world::send_flush(uint32_t role) {
    if (!desk_->start(role))
        return;
    disk& d = disks[role];
    int32_t& result = flush_results_[role];
    result = d.vanished ? -ENODEV : 0;
    if (plan.transient && chance_.per_mille(plan.transient)) {
        result = passing[chance_.below(4)];
    } else if (away >> role & 1) {
        result = -ENOLINK;
    } else if (!d.vanished && d.flush_errors) {
        d.flush_errors--;
        result = -EIO;
    }
    if (result == 0)
        d.flush();
    say("flush of role {} -> {}", role, result);
    uint64_t delay = 1 + chance_.below(plan.delay);
    if (chance_.per_mille(plan.slow))
        delay *= 10;
    later(delay, event_kind::flushed, 0, role);
}

void world::flush_ended(uint32_t role) {
    for (uint32_t served = desk_->end(role); served != 0; served &= served - 1) {
        const auto queue = static_cast<uint32_t>(std::countr_zero(served));
        const uint16_t index = asks_[queue][role];
        ios[index].result = flush_results_[role];
        later(1 + chance_.below(3), event_kind::complete, queue, index);
    }
    send_flush(role);
}

// What will come of it.
void world::decide(io& x) {
    const rr_action& a = x.action;
    x.good = x.sectors;
    x.result = static_cast<int32_t>(a.length);
    if (plan.transient && !is_own(a.act) && chance_.per_mille(plan.transient)) {
        const uint32_t n = chance_.below(6);
        x.good = n < 4 || x.sectors == 0 ? 0 : chance_.below(x.sectors);
        x.result = n < 4 ? passing[n % 4] : static_cast<int32_t>(x.good * 512);
        return;
    }
    if (!on_member(a.act)) {
        if (plan.copy_error && a.act != RR_ACT_BLANK && chance_.per_mille(plan.copy_error)) {
            x.result = -EFAULT;
            x.good = chance_.below(x.sectors + 1);
            request(x.queue, a.tag).may_fail = true;
        }
        return;
    }
    disk& d = disks[a.role];
    // Some of a write may have come through.
    if (away >> a.role & 1) {
        x.result = -ENOLINK;
        x.good = is_write(a.act) ? chance_.below(x.sectors + 1) : 0;
        return;
    }
    const int32_t error = d.vanished ? -ENODEV : -EIO;
    bool fails = d.vanished;
    if (is_write(a.act)) {
        if (d.write_errors)
            d.write_errors--, fails = true;
    } else {
        client_request& r = request(x.queue, a.tag);
        for (uint32_t i = 0; i < x.sectors; i++) {
            if (!d.bad(x.row + i))
                continue;
            fails = true;
            if (!x.job && r.met_count < r.met.size())
                r.met[r.met_count++] = {a.role, x.row + i};
        }
        fails |= !planted(x.row) && chance_.per_mille(plan.read_error);
        // At most one role of a stripe: then no error may reach a client.
        const uint32_t stripe = x.row / plan.config.chunk_sectors;
        if (fails && plan.what == kind::media && (trouble[stripe] & ~(1U << a.role)))
            fails = false;
        if (fails)
            trouble[stripe] |= 1U << a.role;
    }
    if (!fails)
        return;
    x.result = error;
    x.good = d.vanished ? 0 : chance_.below(x.sectors + 1);
}

// Moves sectors up to `upto`.
void world::move(io& x, uint32_t upto) {
    const rr_action& a = x.action;
    client_request& r = request(x.queue, a.tag);
    for (; x.moved < upto; x.moved++) {
        const uint64_t bytes = uint64_t{x.moved} * 512;
        const uint32_t row = x.row + x.moved;
        switch (a.act) {
            case RR_ACT_READ_DIRECT:
                r.pages[(a.address + bytes) / 512] = disks[a.role].at(row);
                break;
            case RR_ACT_READ:
                expand(a.address + bytes, disks[a.role].at(row));
                break;
            case RR_ACT_WRITE:
            case RR_ACT_WRITE_FUA:
                disks[a.role].write(row, compress(a.address + bytes), x.writer,
                                    a.act == RR_ACT_WRITE_FUA, chance_);
                break;
            case RR_ACT_ZERO:
            case RR_ACT_ZERO_FUA:
                disks[a.role].write(row, 0, x.writer, a.act == RR_ACT_ZERO_FUA, chance_);
                break;
            case RR_ACT_COPY_IN: {
                const uint32_t sector = static_cast<uint32_t>((a.position + bytes) / 512);
                const uint32_t version = 2 * r.serial + (r.unstable ? chance_.below(2) : 0);
                expand(a.address + bytes, reference.value(r.base + sector, version));
                break;
            }
            case RR_ACT_COPY_OUT:
                r.pages[(a.position + bytes) / 512] = compress(a.address + bytes);
                break;
        }
    }
}

void world::finish(uint32_t index) {
    io& x = ios[index];
    const rr_action a = x.action;
    if (on_member(a.act) && (away >> a.role & 1) && x.result >= 0 && a.act != RR_ACT_FLUSH &&
        chance_.below(2)) {
        x.result = -ENOLINK;
        x.good = x.moved;
    }
    if (on_member(a.act) && disks[a.role].vanished && x.result >= 0 && chance_.below(2)) {
        x.result = -ENODEV;
        x.good = x.moved;
        if (!is_write(a.act) && a.act != RR_ACT_FLUSH)
            trouble[x.row / plan.config.chunk_sectors] |= 1U << a.role;
    }
    if (a.act != RR_ACT_FLUSH)
        move(x, x.good);
    if (is_write(a.act))
        written[a.role]++;
    if (a.act == RR_ACT_FLUSH && x.result == 0)
        covered[a.role] = std::max(covered[a.role], flush_notes[x.queue][a.role]);
    if (x.job && a.act == RR_ACT_READ && x.result != static_cast<int32_t>(a.length)) {
        slot_note& n = note(x.queue, rr_token_index(a.token));
        if (n.cell != cell_of(x.row))
            n.failed = 0;
        n.cell = cell_of(x.row);
        n.failed |= 1U << a.role;
        job.blind |= planted(x.row);
    }
    if (a.act == RR_ACT_BLANK)
        rr_host_blank(arena, x.queue, a.token, a.address);
    if (a.act == RR_ACT_FUSE && x.result >= 0)
        if (const int failed = fuse(x); failed != 0)
            x.result = failed;
    const uint32_t queue = x.queue;
    const bool whole =
        plan.commands && on_member(a.act) && x.result == static_cast<int32_t>(a.length);
    const int32_t result = whole ? RR_RESULT_WHOLE : x.result;
    x.live = false;
    free_ios_.push_back(static_cast<uint16_t>(index));
    say("q{} tag {} act {} role {} done {}", queue, a.tag, a.act, a.role, result);
    queue_call(queue, [&] { rr_host_complete(arena, queue, a.token, result); });
}

int world::fuse(const io& x) {
    xor_model kernel{*this, x.queue, chance_};
    const int failed =
        rr_host_fuse_slot(arena, x.queue, rr_token_index(x.action.token), xor_model::call, &kernel);
    if (failed != 0 && !kernel.broke())
        wrong("slot {} of queue {} asks for what the kernel refuses",
              rr_token_index(x.action.token), x.queue);
    return failed;
}

// The control plane's own class, with the simulated clock. It waits as long as it takes.
void world::make_judge() {
    arena->judged = plan.outages != 0;
    arena->suspects = 0;
    arena->well = 0;
    member_judge::needs how;
    how.answers = [this](uint32_t index) { return !(away >> index & 1) && !disks[index].vanished; };
    how.is_ours = [] { return true; };
    how.tell = [](const std::string&) {};
    how.wake = [this] { wake_queues(); };
    how.now = [this] { return member_judge::clock::time_point(now_ * unit); };
    how.patience = std::chrono::duration_cast<std::chrono::milliseconds>(3 * outage_longest * unit);
    judge_.emplace(arena, std::move(how));
}

void world::begin_outage() {
    if (away)
        return;
    const uint32_t all = (1U << devices()) - 1;
    away = chance_.below(3) ? all : static_cast<uint32_t>(chance_.next()) & all;
    // What the array can do without is lost and not away, also where its replacement is.
    if (std::popcount(away & ~missing() & ~(1U << replacement())) <= (missing() ? 0 : 1))
        away = all;
    say("outage {:#x}", away);
    sum_->outages++;
    later(chance_.below(outage_longest), event_kind::back, 0, 0);
}

void world::end_outage() {
    say("the members are back");
    away = 0;
    control_look();
}

void world::control_look() {
    if (plan.outages)
        control([this] { judge_->look(member_judge::clock::time_point(now_ * unit)); });
    // Whatever it writes waits until they are back.
    if (away)
        return;
    look_at_bitmap();
    const uint32_t epoch = static_cast<uint32_t>(arena->state >> RR_STATE_EPOCH_SHIFT);
    if (epoch != superblock_epoch_ && !superblock_writing_) {
        superblock_writing_ = true;
        later(1 + chance_.below(600), event_kind::superblock, 0, 0);
    } else if (superblock_epoch_ != arena->durable_epoch && !durable_telling_) {
        durable_telling_ = true;
        later(1 + chance_.below(50), event_kind::durable, 0, 0);
    } else if (plan.rest && epoch == superblock_epoch_) {
        control_rest();
    }
    control_job();
}

void world::wake_queues() {
    for (uint32_t q = 0; q < arena->queues; q++)
        if (!chance_.per_mille(plan.lost_message))
            later(1 + chance_.below(plan.delay), event_kind::message, q, 0);
}

bool world::some_write_waits() const {
    for (uint32_t q = 0; q < arena->queues; q++)
        if (rr_host_queue(arena, q)->rest_wait.head != RR_NIL)
            return true;
    return false;
}

// As service/rest.h; failures are recorded, or it would not be asked.
void world::control_rest() {
    if (getting_up_)
        return;
    if (!rest_) {
        if (broken() || !chance_.per_mille(plan.rest))
            return;
        rest_ = arena->rest = ++rests_;
        wake_queues();
        return;
    }
    if (clean || some_write_waits() || !chance_.below(3)) {
        if (clean && !some_write_waits())
            return;
        getting_up_ = true;
        later(1 + chance_.below(clean ? 600 : 10), event_kind::dirty, 0, 0);
        return;
    }
    for (uint32_t q = 0; q < arena->queues; q++)
        if (rr_host_queue(arena, q)->rested != rest_)
            return;
    lie_down();
}

void world::lie_down() {
    raise_events();
    if (plan.bitmap && !failures_are_recorded())
        return;
    // A job may go on: it changes no row that anybody relies upon.
    if ((rebuilding() || replacing()) && !flush_target())
        return;
    // Who takes no flush is no member of a clean array.
    for (uint32_t role = 0; role < plan.config.members; role++)
        if (!(missing() >> role & 1) && disks[role].vanished)
            return fail_member(role);
    say("at rest");
    sum_->rests += submitted_ < plan.requests;
    checkpoint_ = arena->job.frontier;
    check_rows(*this, "at rest, the superblocks clean");
    for (uint32_t role = 0; role < plan.config.members; role++)
        if (!(missing() >> role & 1))
            disks[role].flush();
    clean = true;
}

void world::control_superblock() {
    if (away)
        return later(100, event_kind::superblock, 0, 0);
    superblock_writing_ = false;
    const uint64_t state = arena->state;
    raise_events();
    superblock_missing_ = static_cast<uint32_t>(state & RR_STATE_MISSING);
    superblock_rebuild_ = (state & RR_STATE_REBUILD) != 0;
    superblock_replace_ = (state & RR_STATE_REPLACE) != 0;
    superblock_epoch_ = static_cast<uint32_t>(state >> RR_STATE_EPOCH_SHIFT);
    const uint32_t refuses = who_refuses();
    say("superblocks: missing {:#x}, epoch {}, refused by {}", superblock_missing_,
        superblock_epoch_, static_cast<int32_t>(refuses));
    if (refuses == no_role)
        recorded_epoch = superblock_epoch_;
    else
        fail_member(refuses);
    control_look();
}

// A survivor that cannot write its superblock.
uint32_t world::who_refuses() {
    const uint32_t one = chance_.below(devices());
    if (!(missing() >> one & 1) && chance_.per_mille(plan.superblock_error))
        return one;
    for (uint32_t role = 0; role < devices(); role++)
        if (!(missing() >> role & 1) && disks[role].vanished)
            return role;
    return no_role;
}

void world::spoil_somewhere() {
    const array_config& c = plan.config;
    const uint32_t stripe = chance_.below(plan.client_stripes());
    uint32_t role = chance_.below(c.members);
    if (plan.what == kind::media && trouble[stripe])
        role = static_cast<uint32_t>(__builtin_ctz(trouble[stripe]));
    trouble[stripe] |= 1U << role;
    spoils++;
    disks[role].spoil(stripe * c.chunk_sectors + chance_.below(c.chunk_sectors));
}

void world::strike(uint32_t index) {
    const fault& f = plan.faults[index];
    struck_[index] = true;
    say("fault {} role {}", static_cast<int>(f.what), f.role);
    switch (f.what) {
        case fault_kind::write_error:
            disks[f.role].write_errors++;
            break;
        case fault_kind::flush_error:
            disks[f.role].flush_errors++;
            break;
        case fault_kind::vanish:
            disks[f.role].vanished = true;
            ever_vanished |= 1U << f.role;
            break;
        case fault_kind::user:
            fail_member(f.role);
            control_look();
            break;
        case fault_kind::bad_sector:
            spoil_somewhere();
            break;
        case fault_kind::kill:
            kill();
            break;
        case fault_kind::power_cut:
            power_cut();
            break;
        case fault_kind::outage:
            begin_outage();
            break;
    }
}

// All that is in flight ends here: of what was good, any part has happened.
void world::drop_in_flight() {
    cut_logs();
    for (uint32_t i = 0; i < ios_used; i++) {
        io& x = ios[i];
        if (!x.live)
            continue;
        if (x.moved < x.good && !(on_member(x.action.act) && disks[x.action.role].vanished))
            move(x, chance_.between(x.moved, x.good));
        x.live = false;
    }
}

namespace {

// The members as the successor sees them; with a budget, until it dies too.
class successor : public redo_io {
public:
    successor(world& w, rng& chance, uint32_t budget) : w_(w), chance_(chance), budget_(budget) {}

    int write(uint32_t role, uint64_t position, std::span<const std::byte> data) override {
        rr_action a{};
        a.role = static_cast<uint8_t>(role);
        a.position = position;
        a.length = static_cast<uint32_t>(data.size());
        const uint32_t row = w_.row_of(a);
        disk& d = w_.disks[role];
        if (row == UINT32_MAX) {
            w_.wrong("redo writes role {} at {}, where no stripe is", role, position);
            return 0;
        }
        if (budget_ == 0)
            return 0;
        budget_--;
        if (d.vanished || d.write_errors) {
            d.write_errors -= d.vanished ? 0 : 1;
            return EIO;
        }
        for (uint32_t i = 0; i < data.size() / 512; i++) {
            uint64_t value;
            std::memcpy(&value, data.data() + size_t{i} * 512, sizeof(value));
            d.write(row + i, value, 0, false, chance_);
        }
        return 0;
    }

    int flush(uint32_t role) override {
        disk& d = w_.disks[role];
        if (budget_ == 0)
            return 0;
        if (d.vanished || d.flush_errors) {
            d.flush_errors -= d.vanished ? 0 : 1;
            return EIO;
        }
        d.flush();
        return 0;
    }

private:
    world& w_;
    rng& chance_;
    uint32_t budget_;
};

}  // namespace

void world::redo(uint32_t budget) {
    successor members(*this, chance_, budget);
    Result<redo_report> done = redo_writes({memory_, layout_.bytes}, members);
    if (!done)
        return wrong("redo: {}", done.error().what);
    say("redo: {} slots, {} writes", done->slots, done->writes);
    sum_->redone += done->slots;
}

void world::kill() {
    auto make_durable = [this] {
        superblock_missing_ = missing();
        superblock_rebuild_ = rebuilding();
        superblock_replace_ = replacing();
        superblock_epoch_ = static_cast<uint32_t>(arena->state >> RR_STATE_EPOCH_SHIFT);
        recorded_epoch = arena->durable_epoch = superblock_epoch_;
    };
    say("the daemon dies");
    sum_->kills++;
    // Its successor waits for them.
    away = 0;
    parked_ = true;
    drop_in_flight();
    make_durable();
    adopt_bitmap();
    make_durable();
    if (chance_.below(4) == 0)
        redo(chance_.below(6));
    redo(UINT32_MAX);
    make_durable();
    const bool power = plan.log && plan.what == kind::power_cut && chance_.below(4) == 0;
    restart_arena({memory_, layout_.bytes});
    if (power)
        return power_cut();
    format_logs();
    covered = written;
    job.again = true;
    sum_->job_kills += arena->job.kind != RR_JOB_NONE;
    check_rest(*this);
    if (failure_.empty())
        check_rows(*this, "after the redo");
    if (failure_.empty())
        restart_clients();
}

void world::power_cut() {
    say("power is cut");
    sum_->cuts++;
    away = 0;
    parked_ = true;
    drop_in_flight();
    note_torn();
    const array_config& c = plan.config;
    for (uint32_t role = 0; role < devices(); role++)
        disks[role].power_cut(chance_);
    for (uint32_t role = 0; plan.bitmap && role < c.members; role++)
        bitmap_disks[role].power_cut(chance_);
    ever_vanished = 0;
    const bool rebuild = superblock_missing_ != 0 && superblock_rebuild_;
    // What was in flight may be on the member and not on its replacement, or the reverse.
    const bool replace = clean && superblock_missing_ == 0 && superblock_replace_;
    const uint32_t replaced = arena->replaced;
    const bool was_broken = broken();
    const bool lost = superblock_missing_ && !(clean && rebuild);
    bool resync = (plan.bitmap || plan.resync) && (!clean || superblock_resync_);
    const uint64_t frontier = clean || plan.log ? checkpoint_ : 0;
    // The arena's state is gone: this is what the superblocks say.
    const uint64_t state = superblock_missing_ | (rebuild ? RR_STATE_REBUILD : 0) |
                           (resync ? RR_STATE_RESYNC : 0) | (replace ? RR_STATE_REPLACE : 0);
    init_arena({memory_, layout_.bytes}, layout_, superblock_missing_);
    arena->state = state;
    arena->replaced = replaced;
    superblock_replace_ = replace;
    arena->job.next = arena->job.frontier = frontier;
    // A dirty array with a member missing is refused.
    const bool refused = lost && (!plan.log || was_broken);
    if (!refused)
        read_bitmap();
    resync = (arena->state & RR_STATE_RESYNC) != 0;
    if (clean)
        check_rows(*this, "after a power cut at rest");
    if (refused) {
        over_ = true;
        return;
    }
    sum_->resumed += rebuild || replace;
    if (plan.log && !superblock_missing_ && chance_.below(2))
        return lose_with_power();
    if (plan.log)
        recover(0);
    if (!failure_.empty())
        return;
    bool neither = false;
    for (uint32_t i = 0; i < plan.stripes; i++) {
        const uint32_t parity = rr_parity_member(&arena->geometry, plan.stripe[i]);
        for (uint32_t s = 0; s < c.chunk_sectors; s++) {
            const uint32_t row = i * c.chunk_sectors + s;
            const uint32_t gone = missing_at(row);
            uint64_t sum = 0, others = 0;
            for (uint32_t role = 0; role < c.members; role++)
                others ^= gone >> role & 1 ? 0 : disks[role].at(row);
            for (uint32_t d = 0; d + 1 < c.members; d++) {
                const uint32_t role = rr_data_member(&arena->geometry, parity, d);
                const uint64_t value = gone >> role & 1 ? others : disks[role].at(row);
                sum ^= value;
                if (planted(row) ||
                    reference.settle(i * full_stripe() + d * c.chunk_sectors + s, value))
                    continue;
                if ((gone & torn_[row] & named_[row] & 1U << role) == 0)
                    return wrong(
                        "after a power cut stripe {} chunk {} sector {} (role {}) holds a wrong "
                        "value",
                        i, d, s, role);
                neither = true;
            }
            if (!gone && !resync && !plan.bitmap && !plan.log)
                disks[parity].format(row, sum);
            if ((plan.bitmap || plan.log) && !planted(row) && !gone && !unsynced(row) && others)
                return wrong(
                    "after a power cut parity of stripe {} sector {} is wrong, and no bit says so",
                    i, s);
        }
    }
    if (neither) {
        // What such a sector is from now on the model cannot tell.
        sum_->neither++;
        over_ = true;
        return;
    }
    for (client_request& r : requests_)
        r.busy = false;
    outstanding_ = 0;
    superblock_epoch_ = recorded_epoch = 0;
    covered = written;
    superblock_resync_ = resync;
    checkpoint_ = frontier;
    tries_left_ = plan.bitmap ? 2 : tries_left_;
    raise_events();
    format_logs();
    restart_clients();
}

}  // namespace rr::sim
