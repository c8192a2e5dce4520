// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "check.h"

#include <algorithm>
#include <bit>
#include <cerrno>

namespace rr::sim {
namespace {

bool is_read(uint32_t act) {
    return act == RR_ACT_READ || act == RR_ACT_READ_DIRECT;
}
bool is_write(uint32_t act) {
    return act == RR_ACT_WRITE || act == RR_ACT_WRITE_FUA || act >= RR_ACT_ZERO;
}
bool is_copy(uint32_t act) {
    return act == RR_ACT_COPY_IN || act == RR_ACT_COPY_OUT || act == RR_ACT_FUSE ||
           act == RR_ACT_BLANK;
}

// A writer waits for a few tries of its own, for the claim before its own, and
// for slow disks. Without fairness some wait for hundreds of rounds.
constexpr uint32_t rounds_max = 100;
// Who holds a row waits for its log, too.
constexpr uint32_t rounds_max_logged = 200;

// The kinds in which nothing but the state decides how a write reads.
bool rule_is_plain(const world& w) {
    return (w.plan.what == kind::healthy || w.plan.what == kind::prompt ||
            w.plan.what == kind::degraded) &&
           !w.plan.rebuild && !w.plan.resync && !w.plan.outages && !(w.plan.log && w.missing());
}

// What md's rule has for the cell of a slot, sector by sector from the request alone.
struct rule_reads {
    uint32_t expected;           // the roles to read where nothing is in memory
    uint32_t modify, construct;  // by the one way, and by the other
};

rule_reads reads_of_rule(world& w, uint32_t queue, const rr_slot& s) {
    const array_config& c = w.plan.config;
    const uint32_t cell = 1U << (w.arena->cell_shift - RR_SECTOR_SHIFT);
    const uint32_t in_chunk = static_cast<uint32_t>(s.cell * cell % c.chunk_sectors);
    const uint64_t full = w.full_stripe();
    const std::vector<uint32_t> tags = w.tags_of(queue, s);
    const uint64_t stripe = s.cell * cell / c.chunk_sectors;
    const uint32_t parity = rr_parity_member(&w.arena->geometry, stripe);
    const uint32_t missing = w.missing();
    auto hit = [&](uint32_t d, uint32_t sector) {
        const uint64_t at = stripe * full + d * c.chunk_sectors + in_chunk + sector;
        return std::ranges::any_of(tags, [&](uint32_t tag) {
            const client_request& r = w.request(queue, tag);
            return at >= r.sector && at < r.sector + r.sectors;
        });
    };
    uint32_t lo = cell, hi = 0;
    for (uint32_t d = 0; d + 1 < c.members; d++)
        for (uint32_t i = 0; i < cell; i++)
            if (hit(d, i)) {
                lo = std::min(lo, i);
                hi = std::max(hi, i + 1);
            }
    if (s.lo != lo || s.hi != hi)
        w.wrong("a slot's hull is {}..{}, that of its requests {}..{}", s.lo, s.hi, lo, hi);
    constexpr uint32_t never = 1000;
    uint32_t rmw = 0, rcw = 0, old_data = 1U << parity, other_data = 0;
    for (uint32_t d = 0; d + 1 < c.members; d++) {
        uint32_t covered = 0;
        for (uint32_t i = lo; i < hi; i++)
            covered += hit(d, i);
        const uint32_t role = rr_data_member(&w.arena->geometry, parity, d);
        const uint32_t price = missing >> role & 1 ? never : 1;
        if (covered) {
            rmw += price;
            old_data |= 1U << role;
        }
        if (covered < hi - lo) {
            rcw += price;
            other_data |= 1U << role;
        }
    }
    if (missing >> parity & 1)
        return {};
    rmw += 1;
    if (rmw >= never && rcw >= never) {
        const uint32_t all = ((1U << c.members) - 1) & ~missing;
        return {all, all, all};
    }
    return {rmw < rcw ? old_data : other_data, rmw < never ? old_data : 0,
            rcw < never ? other_data : 0};
}

void check_slot_plan(world& w, uint32_t queue, uint32_t slot) {
    slot_note& note = w.note(queue, slot);
    const rr_slot* s = rr_host_slot(w.arena, queue, slot);
    if (note.judged)
        return;
    note.judged = true;
    const client_request& r = w.request(queue, s->tag);
    const rule_reads rule = reads_of_rule(w, queue, *s);
    // Gathered writes are weighed by the units to read, and what several payloads cover only
    // together may be read: of them it is known what they may not read.
    if (s->more.head != RR_NIL)
        return;
    // Of the one way or the other, less what is kept: never more than the rule has.
    const bool some = (note.reads & ~rule.modify) == 0 || (note.reads & ~rule.construct) == 0;
    if (note.reads != rule.expected &&
        (!some || s->keeps == 0 || std::popcount(note.reads) > std::popcount(rule.expected)))
        w.wrong("a write of {} sectors at {} reads roles {:#x} for cell {}, by md's rule {:#x}",
                r.sectors, r.sector, note.reads, s->cell, rule.expected);
}

// A read of the members costs each block that it needs once, row by row: all that
// are there where the missing one is asked for, else those that are asked for. Where one is
// missing it may find some of them in memory.
void check_read_cost(world& w, const client_request& r) {
    const uint32_t chunk = w.plan.config.chunk_sectors;
    const uint32_t start = static_cast<uint32_t>(r.sector % w.full_stripe());
    const uint32_t parity = rr_parity_member(&w.arena->geometry, w.plan.stripe[r.stripe]);
    uint64_t needed = 0;
    for (uint32_t row = 0; row < chunk; row++) {
        uint32_t asked = 0;
        bool lost = false;
        for (uint32_t d = 0; d + 1 < w.plan.config.members; d++) {
            const uint32_t at = d * chunk + row;
            if (at < start || at >= start + r.sectors)
                continue;
            asked++;
            lost |= (w.missing() >> rr_data_member(&w.arena->geometry, parity, d) & 1) != 0;
        }
        needed += lost ? w.plan.config.members - 1 : asked;
    }
    if (w.missing() ? r.member_sectors > needed : r.member_sectors != needed)
        w.wrong("a read of {} sectors at {} read {} sectors of members, it needs {}", r.sectors,
                r.sector, r.member_sectors, needed);
}

void check_range(world& w, uint32_t queue, const rr_action& a) {
    const rr_array* h = w.arena;
    if (a.length == 0 || a.length % 512 != 0 || a.position % 512 != 0 || a.address % 512 != 0)
        return w.wrong("action {} is not on whole sectors: {} bytes at {}", a.act, a.length,
                       a.position);
    if (a.act == RR_ACT_READ_DIRECT || is_copy(a.act)) {
        const client_request& r = w.request(queue, a.tag);
        const uint64_t at = a.act == RR_ACT_READ_DIRECT ? a.address : a.position;
        if (a.tag >= h->depth || !r.busy || at + a.length > uint64_t{r.sectors} * 512)
            return w.wrong("action {} is outside of its request's pages", a.act);
    }
    if (a.act == RR_ACT_READ_DIRECT)
        return;
    const uint32_t slot = rr_token_index(a.token);
    if (slot >= h->slots)
        return w.wrong("action {} names slot {}", a.act, slot);
    const uint32_t of = a.role < w.plan.config.members ? a.role : h->replaced;
    const uint64_t buffer = rr_host_buffer(w.arena, queue, slot, of);
    if (a.address < buffer || a.address + a.length > buffer + (1ULL << h->cell_shift))
        w.wrong("action {} is outside of its slot's buffer", a.act);
}

// No two members' writes of one row: the row lock does not hold.
void check_alone(world& w, uint32_t queue, const rr_action& a) {
    const uint32_t row = w.row_of(a);
    for (uint32_t i = 0; i < w.ios_used; i++) {
        const io& x = w.ios[i];
        if (!x.live || !is_write(x.action.act) || x.action.role != a.role)
            continue;
        if (x.queue == queue && rr_token_index(x.action.token) == rr_token_index(a.token))
            continue;
        if (x.row < row + a.length / 512 && row < x.row + x.action.length / 512)
            return w.wrong("two writes of rows at {} of role {} are in flight at once", row,
                           a.role);
    }
}

bool error_is_right(const world& w, const client_request& r) {
    if (r.may_fail || w.broken())
        return true;
    if (r.op == RR_OP_FLUSH)
        return false;
    const uint32_t back = r.submitted <= w.back_since ? w.back : 0;
    // Where parity means nothing one block that cannot be read is enough.
    const uint32_t lost = w.missing() | w.ever_vanished | back;
    for (uint32_t i = r.stripe; i <= w.last_stripe(r); i++)
        if (std::popcount(w.trouble[i] | lost) >= (r.resync ? 1 : 2))
            return true;
    return false;
}

void check_flushed(world& w, uint32_t submitted) {
    for (uint32_t role = 0; role < w.devices(); role++) {
        if (w.unwritten() >> role & 1)
            continue;
        w.disks[role].each_dirty([&](uint32_t writer, uint32_t) {
            for (uint32_t serial : w.writers[writer])
                if (w.acknowledged[serial] && w.acknowledged[serial] < submitted)
                    w.wrong("a flush was acknowledged, but role {} can still lose write {}", role,
                            serial);
        });
    }
}

// Bad sectors that the request met are good again. Not where a member was lost
// meanwhile: nothing can be rebuilt without it. Nor where it met them with others, as it
// may have been done without them in the end.
void check_repaired(world& w, const client_request& r) {
    if (r.shared)
        return;
    const uint32_t chunk = w.plan.config.chunk_sectors;
    const uint32_t cell = 1U << (w.arena->cell_shift - RR_SECTOR_SHIFT);
    for (uint32_t i = 0; i < r.met_count; i++) {
        const uint32_t role = r.met[i].role;
        const uint64_t stripe = w.plan.stripe[w.stripe_of(r.met[i].row)];
        const uint32_t parity = rr_parity_member(&w.arena->geometry, stripe);
        if (!w.disks[role].bad(r.met[i].row) || w.missing() != 0 || w.disks[role].vanished)
            continue;
        // A write repairs what it has to do with: parity, and the chunks it changes in this cell.
        const uint32_t from = r.met[i].row % chunk / cell * cell;
        bool changed = role == parity;
        if (r.op == RR_OP_WRITE && !changed) {
            const uint64_t base = stripe * w.full_stripe() +
                                  rr_data_index(&w.arena->geometry, parity, role) * chunk + from;
            changed = r.sector < base + cell && r.sector + r.sectors > base;
        }
        if (r.op == RR_OP_READ || changed)
            w.wrong("a bad sector of role {} was rebuilt for a request, but not rewritten", role);
    }
}

void check_fua(world& w, uint32_t serial) {
    for (uint32_t role = 0; role < w.devices(); role++) {
        if (w.unwritten() >> role & 1)
            continue;
        w.disks[role].each_dirty([&](uint32_t writer, uint32_t) {
            if (std::ranges::find(w.writers[writer], serial) != w.writers[writer].end())
                w.wrong("a FUA write was acknowledged, but role {} can still lose it", role);
        });
    }
}

// Members that no plan may count on. The control plane can have made the missing one
// a target, or a member, since the call began; a plan may have seen either.
bool is_out(const world& w, const rr_action& a) {
    if (!(w.known_missing() & w.missing() & 1U << a.role))
        return false;
    if (!((w.known | w.arena->state) & RR_STATE_REBUILD))
        return true;
    return is_read(a.act) && w.job_has_to(w.row_of(a));
}

// Its bit is on every member that is written to, whatever happens.
void check_region(world& w, const rr_action& a) {
    const uint64_t bit = w.bit_of(w.row_of(a));
    for (uint32_t role = 0; role < w.plan.config.members; role++)
        if (!(w.unwritten() >> role & 1) && !w.bitmap_disks[role].holds(bit))
            return w.wrong("row {} is written, and its bit {} is not set on role {}", w.row_of(a),
                           bit, role);
}

// Where parity is written its log has the row.
void check_log(world& w, uint32_t queue, const rr_action& a) {
    const rr_slot* s = rr_host_slot(w.arena, queue, rr_token_index(a.token));
    if (s->phase != RR_PHASE_WRITE || !(s->write_mask & w.arena->log_roles & 1U << s->parity))
        return;
    if (!(s->log & RR_LOG_SHARE))
        w.wrong("row {} is written, and no log has it", w.row_of(a));
    if (a.act != RR_ACT_WRITE_FUA && a.act != RR_ACT_ZERO_FUA)
        w.wrong("row {} is in a log, and written to a cache", w.row_of(a));
}

// What a job does to its cell.
void check_job(world& w, uint32_t queue, const rr_action& a) {
    const rr_slot* s = rr_host_slot(w.arena, queue, rr_token_index(a.token));
    const slot_note& note = w.note(queue, rr_token_index(a.token));
    const uint32_t kind = w.arena->job.kind;
    if (queue != 0 || kind == RR_JOB_NONE || s->cell >= w.arena->job.end)
        return w.wrong("queue {} works at cell {} for no job", queue, s->cell);
    if (a.length != 1U << w.arena->cell_shift)
        return w.wrong("a job's I/O has {} bytes", a.length);
    if (!is_write(a.act))
        return;
    const uint32_t stripe = w.stripe_of(w.row_of(a));
    const bool parity = a.role == rr_parity_member(&w.arena->geometry, w.plan.stripe[stripe]);
    const bool unreadable = note.cell == s->cell && (note.failed >> a.role & 1);
    bool right = unreadable;
    if (kind == RR_JOB_REBUILD)
        right = ((w.known_missing() | w.missing()) >> a.role & 1) != 0;
    else if (kind == RR_JOB_RESYNC)
        right = parity;
    else if (kind == RR_JOB_REPAIR)
        right = parity || unreadable;
    else if (kind == RR_JOB_REPLACE)
        right = a.role == w.replacement() || (a.role == w.arena->replaced && unreadable);
    if (!right)
        w.wrong("a job of kind {} writes to role {} in cell {}", kind, a.role, s->cell);
}

}  // namespace

void check_action(world& w, uint32_t queue, const rr_action& a) {
    if (a.act < RR_ACT_READ_DIRECT || a.act > RR_ACT_ZERO_FUA || a.act == RR_ACT_FETCH)
        return w.wrong("an action {} was emitted", a.act);
    if (a.act == RR_ACT_COMMIT) {
        const client_request& r = w.request(queue, a.tag);
        if (static_cast<int32_t>(a.length) < 0 || r.op == RR_OP_READ)
            return;
        const char* what = r.op == RR_OP_FLUSH ? "flush" : "write";
        if (w.known >> RR_STATE_EPOCH_SHIFT > w.recorded_epoch)
            w.wrong("a {} was acknowledged before a failure was durable", what);
        else if (w.known_broken())
            w.wrong("a {} to a broken array was acknowledged", what);
        return;
    }
    // The replacement is behind them; it may have been lost since the call began.
    const bool replacement =
        a.role == w.replacement() && (is_write(a.act) || a.act == RR_ACT_FLUSH) &&
        (((w.known | w.arena->state) & RR_STATE_REPLACE) || w.in_tick || w.plan.transient);
    if (a.role >= w.plan.config.members && !replacement)
        return w.wrong("action {} for role {}", a.act, a.role);
    if ((is_read(a.act) || is_write(a.act)) && w.row_of(a) == UINT32_MAX)
        return w.wrong("action {} goes to role {} byte {}, where no stripe is", a.act, a.role,
                       a.position);
    const bool job = a.act != RR_ACT_FLUSH && w.of_job(queue, a);
    if (is_read(a.act) && is_out(w, a))
        return w.wrong("a read was emitted to role {}, which is out", a.role);
    if (is_write(a.act) && is_out(w, a) && !w.in_tick && !w.plan.transient)
        return w.wrong("a write was planned for role {}, which is out", a.role);
    if (is_write(a.act) && w.known_broken() && !w.in_tick && !w.plan.transient && !job &&
        w.request(queue, a.tag).op == RR_OP_WRITE)
        return w.wrong("a write was begun in a broken array");
    if (a.act == RR_ACT_FLUSH) {
        // Others may write and flush while it is decided.
        if (w.plan.transient == 0 && w.plan.interleave == 0 && w.plan.outages == 0 &&
            w.written[a.role] == w.covered[a.role])
            w.wrong("a flush was emitted to role {}, which was not written", a.role);
        w.flush_notes[queue][a.role] = w.written[a.role];
        return;
    }
    if (!job && w.request(queue, a.tag).refused)
        return w.wrong("a request across a stripe was begun");
    check_range(w, queue, a);
    if (is_write(a.act))
        check_log(w, queue, a);
    if (job) {
        check_job(w, queue, a);
        if (is_write(a.act))
            check_alone(w, queue, a);
        return;
    }
    if (is_read(a.act) && w.unsynced(w.row_of(a)) &&
        a.role == rr_parity_member(&w.arena->geometry, w.plan.stripe[w.stripe_of(w.row_of(a))]))
        return w.wrong("a parity that means nothing was read for a client");
    if (is_read(a.act))
        w.request(queue, a.tag).member_sectors += a.length / 512;
    if (a.act == RR_ACT_READ_DIRECT)
        return;
    const uint32_t slot = rr_token_index(a.token) % world::slots_max;
    slot_note& note = w.note(queue, slot);
    if (is_write(a.act)) {
        if (w.clean && rr_host_slot(w.arena, queue, slot)->phase == RR_PHASE_WRITE)
            return w.wrong("a row is written while the superblocks say clean");
        if (w.plan.bitmap && rr_host_slot(w.arena, queue, slot)->phase == RR_PHASE_WRITE)
            check_region(w, a);
        note = {};
        check_alone(w, queue, a);
    } else if (rr_host_slot(w.arena, queue, slot)->phase == RR_PHASE_COPY_OUT) {
        note = {};
    } else if (a.act == RR_ACT_READ) {
        note.reads |= 1U << a.role;
    } else if (rule_is_plain(w)) {
        check_slot_plan(w, queue, slot);
    }
}

void check_answer(world& w, uint32_t queue, uint32_t tag, int32_t result) {
    client_request& r = w.request(queue, tag);
    const int32_t whole =
        r.op == RR_OP_FLUSH || r.zeroes ? 0 : static_cast<int32_t>(r.sectors * 512);
    if (r.refused) {
        if (result != -EIO)
            w.wrong("a request of {} sectors at {}, across a stripe, was answered {}", r.sectors,
                    r.sector, result);
        return;
    }
    if (result < 0) {
        if (!error_is_right(w, r))
            w.wrong("a request (op {}, {} sectors at {}) was answered {} without need", r.op,
                    r.sectors, r.sector, result);
        return;
    }
    if (result != whole)
        return w.wrong("a request of {} bytes was answered {}", whole, result);
    // How often did each of the other tags go round meanwhile?
    const uint32_t others = w.plan.config.queues * w.plan.config.depth;
    const uint32_t rounds = (w.writes_answered - r.writes_before) / others;
    const uint32_t most = w.plan.log ? rounds_max_logged : rounds_max;
    if (w.plan.what == kind::crowd && r.op == RR_OP_WRITE && rounds > most)
        w.wrong("a write waited while each of {} tags went round {} times", others, rounds);
    if (r.spoils == w.spoils && !w.broken())
        check_repaired(w, r);
    if (r.op == RR_OP_READ) {
        if (rule_is_plain(w))
            check_read_cost(w, r);
        for (uint32_t i = 0; i < r.sectors; i++)
            if (!w.reference.may_read(r.base + i, r.pages[i], r.submitted))
                return w.wrong(
                    "a read of {} sectors at {} returned a wrong sector {} (stripe {}, state "
                    "{:#x})",
                    r.sectors, r.sector, i, r.stripe, w.arena->state);
    } else if (r.op == RR_OP_FLUSH) {
        check_flushed(w, r.submitted);
    } else if (r.fua) {
        check_fua(w, r.serial);
    }
}

void check_locks(world& w) {
    rr_array* a = w.arena;
    const auto* locks =
        reinterpret_cast<const rr_lock*>(reinterpret_cast<const char*>(a) + a->locks_offset);
    const uint32_t slots = a->queues * a->slots;
    auto slot = [&](uint32_t n) { return rr_host_slot(a, n / a->slots, n % a->slots); };
    for (uint32_t n = 0; n < slots; n++) {
        const rr_slot* s = slot(n);
        if (s->phase == RR_PHASE_FREE || (!s->locked && s->phase != RR_PHASE_LOCK))
            continue;
        uint64_t held = 0;
        for (uint32_t m = 0; m < slots; m++) {
            const rr_slot* t = slot(m);
            if (t->phase == RR_PHASE_FREE || !t->locked || t->lock != s->lock)
                continue;
            if (held & t->lock_mask)
                w.wrong("units {:#x} of row lock {} are held twice", t->lock_mask, t->lock);
            held |= t->lock_mask;
        }
        const uint64_t word = locks[s->lock].units;
        if ((word & 0xffff) != held)
            return w.wrong("row lock {} says {:#x}, its holders {:#x}", s->lock, word, held);
        const uint64_t claimer = word >> 32;
        if (!(word >> 16 & 0xffff) && !claimer)
            continue;
        const rr_slot* t =
            claimer && claimer <= slots ? slot(static_cast<uint32_t>(claimer) - 1) : nullptr;
        if (!t || t->phase != RR_PHASE_LOCK || t->lock != s->lock ||
            t->lock_mask != (word >> 16 & 0xffff))
            return w.wrong("row lock {} ({:#x}) is claimed by a slot that does not wait for it",
                           s->lock, word);
    }
}

void check_rest(world& w) {
    rr_array* a = w.arena;
    for (uint32_t n = 0; n < a->queues; n++) {
        const rr_queue* q = rr_host_queue(a, n);
        for (const rr_fifo* f :
             {&q->slot_wait, &q->held, &q->flush_now, &q->flush_next, &q->lock_wait, &q->starting,
              &q->rest_wait, &q->region_wait, &q->log_wait, &q->zero_wait})
            if (f->head != RR_NIL)
                return w.wrong("at rest, a list of queue {} is not empty", n);
        if (q->action_head != q->action_tail || q->retry_count || q->flushing || q->open ||
            q->zeroing)
            return w.wrong("at rest, queue {} has something to do", n);
        uint32_t count = 0;
        for (uint32_t s = q->free_slot; s != RR_NIL && count <= a->slots;
             s = rr_host_slot(a, n, s)->next)
            count++;
        if (count != a->slots || q->free_slots != a->slots)
            return w.wrong("at rest, queue {} has {} ({}) of {} slots", n, count, q->free_slots,
                           a->slots);
    }
    for (uint32_t role = 0; role < RR_MEMBERS_MAX; role++)
        if (a->log_open[role])
            return w.wrong("at rest, {} rows of log {} are open", a->log_open[role], role);
    if (a->job.in_work)
        return w.wrong("at rest, {} cells of a job are in work", a->job.in_work);
    const auto* locks =
        reinterpret_cast<const rr_lock*>(reinterpret_cast<const char*>(a) + a->locks_offset);
    for (uint32_t i = 0; i < RR_LOCKS; i++)
        if (locks[i].units)
            return w.wrong("at rest, row lock {} is held: {:#x}", i, locks[i].units);
}

void check_rows(world& w, const char* when) {
    if (w.broken())
        return;
    const array_config& c = w.plan.config;
    for (uint32_t i = 0; i < w.plan.client_stripes(); i++) {
        const uint32_t parity = rr_parity_member(&w.arena->geometry, w.plan.stripe[i]);
        for (uint32_t s = 0; s < c.chunk_sectors; s++) {
            const uint32_t row = i * c.chunk_sectors + s;
            const uint32_t missing = w.missing_at(row);
            const bool unsynced = w.unsynced(row);
            uint64_t others = 0;
            for (uint32_t role = 0; role < c.members; role++)
                if (!(missing >> role & 1))
                    others ^= w.disks[role].at(row);
            if (!missing && !unsynced && others)
                return w.wrong("{}: parity of stripe {} sector {} is wrong", when, i, s);
            for (uint32_t d = 0; d + 1 < c.members; d++) {
                const uint32_t role = rr_data_member(&w.arena->geometry, parity, d);
                // Lost, and nothing tells what it was.
                if (unsynced && (missing >> role & 1))
                    continue;
                const uint64_t value = missing >> role & 1 ? others : w.disks[role].at(row);
                if (!w.reference.may_read(i * w.full_stripe() + d * c.chunk_sectors + s, value,
                                          w.clock))
                    return w.wrong(
                        "{}: stripe {} chunk {} sector {} (role {}{}) holds a wrong value", when, i,
                        d, s, role, missing >> role & 1 ? ", rebuilt" : "");
            }
        }
    }
}

}  // namespace rr::sim
