// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The partial parity log: its writer is the daemon's own class, as a thread among the
// queues; what recovers after a power cut is a dumb reference on the daemon's own parser.
//
// A power cut leaves of each unit in flight any sectors. Then, now and then, a member is
// gone for good, and the others must tell what it held: all that nobody was writing, and
// of what was written in rows of its own. Recovery itself is cut off, too, and begun again.
//
// What a missing member was to get is the old or the new, as it is written alone. A member
// that fails while a row is written to it and to others, and that is recorded before the
// others have theirs: there it may be neither (docs/fault-model.md), if the log names it.
#include "log.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "base/bytes.h"
#include "md/ppl.h"
#include "world.h"

namespace rr::sim {
namespace {

constexpr size_t sector_bytes = 512;
constexpr md::uuid name = {16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1};
constexpr uint64_t log_poll = 200;
constexpr uint32_t no_role = 0xff;

}  // namespace

void log_disk::format(uint64_t sectors) {
    bytes_.assign(sectors * sector_bytes, 0);
    const auto header = md::empty_ppl(name);
    std::copy(header.begin(), header.end(), bytes_.begin());
    flying_.clear();
}

void log_disk::begin(uint64_t sector, std::span<const uint8_t> bytes) {
    flying_.assign(bytes.begin(), bytes.end());
    at_ = sector;
}

// The unit in flight is whole: behind it are zeroes, its own or older ones, or a header.
bool log_disk::ends_quietly() const {
    std::vector<uint8_t> after = bytes_;
    std::ranges::copy(flying_, after.begin() + static_cast<ptrdiff_t>(at_ * sector_bytes));
    const auto unit = std::span<const uint8_t>(after).subspan(at_ * sector_bytes);
    size_t end = md::ppl_header_bytes;
    for (size_t i = 0; i < load_le<uint32_t>(unit, 528); i++)
        end += load_le<uint32_t>(unit, 536 + i * 24 + 8);
    const auto behind = unit.subspan(end, md::ppl_header_bytes);
    return std::ranges::all_of(behind, [](uint8_t b) { return b == 0; }) ||
           (load_le<uint32_t>(behind, 512) == load_le<uint32_t>(unit, 512) &&
            load_le<uint64_t>(behind, 520) < load_le<uint64_t>(unit, 520));
}

void log_disk::end() {
    std::copy(flying_.begin(), flying_.end(),
              bytes_.begin() + static_cast<ptrdiff_t>(at_ * sector_bytes));
    flying_.clear();
}

void log_disk::cut(rng& chance) {
    // All, none, most of them, or those behind some one.
    const auto sectors = static_cast<uint32_t>(flying_.size() / sector_bytes);
    const uint32_t what = chance.below(4);
    const uint32_t kept = what == 0 ? 0 : what == 1 ? 900 : 1000;
    for (size_t i = what == 2 && sectors != 0 ? chance.below(sectors) : 0; i < sectors; i++)
        if (chance.per_mille(kept))
            std::copy_n(flying_.begin() + static_cast<ptrdiff_t>(i * sector_bytes), sector_bytes,
                        bytes_.begin() + static_cast<ptrdiff_t>((at_ + i) * sector_bytes));
    flying_.clear();
}

// Nothing is in flight, and rows are durable: a start.
void world::format_logs() {
    log_writer_.reset();
    if (!plan.log)
        return;
    std::array<uint64_t, RR_MEMBERS_MAX> areas{};
    for (uint32_t role = 0; role <= plan.config.members && role < RR_MEMBERS_MAX; role++) {
        log_disks_[role].format(plan.log_area);
        areas[role] = plan.log_area;
    }
    log_writer::needs how;
    how.write = [this](uint32_t role, uint64_t sector, std::span<const uint8_t> bytes) {
        write_log(role, sector, bytes);
    };
    how.wake = [this](uint32_t queue) {
        if (!chance_.per_mille(plan.lost_message))
            later(1 + chance_.below(plan.delay), event_kind::message, queue, 0);
    };
    how.fail = [this](uint32_t role, int error) {
        say("role {} takes no log: {}", role, error);
        rr_host_fail(arena, role, -error);
        later(1 + chance_.below(100), event_kind::notify, 0, 0);
    };
    log_writer_.emplace(arena, name, areas, std::move(how));
    arena->log_roles = (1U << plan.config.members) - 1;
    arena->log_fua = ~0U;
    log_poll_planned_ = false;
}

// A device joins.
void world::format_log(uint32_t role) {
    if (!plan.log)
        return;
    log_disks_[role].format(plan.log_area);
    log_writer_->restart(role, plan.log_area);
}

void world::write_log(uint32_t role, uint64_t sector, std::span<const uint8_t> bytes) {
    const uint64_t end = sector + bytes.size() / sector_bytes;
    say("log {}: {} sectors at {}", role, bytes.size() / sector_bytes, sector);
    sum_->units++;
    if (log_disks_[role].in_flight())
        return wrong("two units of log {} are in flight", role);
    if (end + 8 > plan.log_area)
        return wrong("a unit ends at {} of {}, where md does not find it", end, plan.log_area);
    log_disks_[role].begin(sector, bytes);
    if (!log_disks_[role].ends_quietly())
        return wrong("what is behind a unit of log {} may be taken for its successor", role);
    later(1 + chance_.below(plan.delay), event_kind::logged, 0, role);
}

void world::finish_log(uint32_t role) {
    disk& d = disks[role];
    int error = 0;
    if (d.vanished || d.write_errors) {
        d.write_errors -= d.vanished ? 0 : 1;
        error = EIO;
        log_disks_[role].cut(chance_);
    } else {
        log_disks_[role].end();
    }
    log_turn([&] { log_writer_->written(role, error); });
}

// A turn of its thread, which goes on until it may sleep.
void world::log_turn(const std::function<void()>& first) {
    enter(log_thread);
    first();
    for (uint32_t i = 0; i < 1000; i++) {
        log_writer_->look();
        if (log_writer_->may_sleep())
            break;
    }
    leave(log_thread);
    if (log_writer_->waits() && !log_poll_planned_ && plan.what != kind::prompt) {
        log_poll_planned_ = true;
        later(log_poll, event_kind::log_poll, 0, 0);
    }
}

void world::tell_log(uint32_t queue) {
    if (rr_host_wakes_log(arena, queue) && !chance_.per_mille(plan.lost_message))
        later(1 + chance_.below(plan.delay), event_kind::log_message, 0, 0);
}

void world::cut_logs() {
    for (log_disk& d : log_disks_)
        d.cut(chance_);
}

// Rows of the entry: parity of what is there. False: the power is cut again.
bool world::recover_entry(uint32_t role, const md::ppl_unit& unit, const md::ppl_entry& entry,
                          uint32_t gone, uint32_t& budget) {
    const rr_geometry& g = arena->geometry;
    const md::ppl_shape shape{g, arena->array_sectors, name, role, plan.log_area};
    const auto pieces = md::rows_of(entry, shape);
    if (!pieces) {
        wrong("an entry of log {} makes no sense: {}", role, pieces.error().what);
        return false;
    }
    for (const md::ppl_rows& rows : *pieces) {
        uint32_t stripe = 0;
        while (stripe < plan.stripes && plan.stripe[stripe] != rows.stripe)
            stripe++;
        if (stripe == plan.stripes) {
            wrong("log {} names stripe {}, where nobody writes", role, rows.stripe);
            return false;
        }
        for (uint32_t s = 0; s < rows.sectors; s++) {
            const uint32_t row = stripe * plan.config.chunk_sectors + rows.offset + s;
            uint64_t sum = 0;
            bool lacks = false;
            if (rows.has_pp)
                std::memcpy(&sum, unit.pp_of(entry).data() + rows.pp_at + size_t{s} * sector_bytes,
                            sizeof(sum));
            for (uint32_t n = 0; n < rows.disks; n++) {
                const uint32_t from = rr_data_member(&g, role, rows.index + n);
                lacks |= ((gone | missing_at(row)) >> from & 1) != 0;
                sum ^= disks[from].at(row);
            }
            named_[row] |= lacks && rows.disks > 1 ? gone | missing_at(row) : 0;
            say("log {} unit {} at {}: row {} of {} disks from {}{}", role, unit.generation,
                unit.place, row, rows.disks, rows.index, lacks ? ", one of which is missing" : "");
            if (lacks)
                continue;
            if (budget-- == 0)
                return false;
            disks[role].write(row, sum, 0, false, chance_);
            sum_->recovered++;
        }
    }
    return true;
}

// As a start does; roles in @gone are not there. False: it was cut off after @budget rows.
bool world::recover_logs(uint32_t gone, uint32_t budget) {
    for (uint32_t role = 0; role < plan.config.members; role++) {
        if ((gone | unwritten()) >> role & 1)
            continue;
        const auto bytes = log_disks_[role].bytes();
        const md::ppl_shape shape{arena->geometry, arena->array_sectors, name, role, plan.log_area};
        const auto unit = md::read_ppl(
            [&](uint64_t sector, std::span<uint8_t> into) {
                std::memcpy(into.data(), bytes.data() + sector * sector_bytes, into.size());
                return Status{};
            },
            shape);
        if (!unit) {
            wrong("log {} is refused: {}", role, unit.error().what);
            return true;
        }
        if (!*unit)
            continue;
        for (const md::ppl_entry& entry : (*unit)->entries)
            if (!entry.torn && !recover_entry(role, **unit, entry, gone, budget))
                return !failure_.empty();
    }
    for (uint32_t role = 0; role < plan.config.members; role++)
        disks[role].flush();
    return true;
}

// Before the arena is gone: rows that are being written to a role that failed after that
// had been planned, and to others.
void world::note_torn() {
    torn_.assign(size_t{plan.stripes} * plan.config.chunk_sectors, 0);
    named_ = torn_;
    const uint32_t epoch = static_cast<uint32_t>(arena->state >> RR_STATE_EPOCH_SHIFT);
    const uint32_t shift = arena->unit_shift - RR_SECTOR_SHIFT;
    for (uint32_t n = 0; n < arena->queues * arena->slots; n++) {
        const rr_slot& s = *rr_host_slot(arena, n / arena->slots, n % arena->slots);
        if (s.phase != RR_PHASE_WRITE || s.op != RR_OP_WRITE || s.epoch == epoch)
            continue;
        for (uint32_t roles = s.write_mask & s.data_mask & superblock_missing_; roles != 0;
             roles &= roles - 1) {
            const auto role = static_cast<uint32_t>(std::countr_zero(roles));
            if ((s.data_mask & ~(1U << role)) == 0)
                continue;
            for (uint32_t row = 0; row < torn_.size(); row++) {
                const uint32_t in_cell = row & ((1U << (arena->cell_shift - RR_SECTOR_SHIFT)) - 1);
                if (cell_of(row) == s.cell && in_cell >= s.from[role] && in_cell < s.to[role] &&
                    (s.units[role] >> (in_cell >> shift) & 1) != 0)
                    torn_[row] |= 1U << role;
            }
        }
    }
}

// All that the start after a power cut does with the logs, and a cut in the middle of it.
void world::recover(uint32_t gone) {
    for (uint32_t again = chance_.below(3); again > 0; again--)
        if (!recover_logs(gone, chance_.below(20)))
            for (uint32_t role = 0; role < devices(); role++)
                disks[role].power_cut(chance_);
    if (failure_.empty())
        recover_logs(gone, UINT32_MAX);
}

// A member is lost with the power; what it held can be told, but what it was to get.
void world::lose_with_power() {
    const uint32_t role = chance_.below(plan.config.members);
    say("role {} is lost with the power", role);
    sum_->lost_with_power++;
    recover(1U << role);
    for (uint32_t row = 0;
         failure_.empty() && row < plan.client_stripes() * plan.config.chunk_sectors; row++) {
        const uint32_t stripe = stripe_of(row);
        const uint32_t parity = rr_parity_member(&arena->geometry, plan.stripe[stripe]);
        uint64_t others = 0;
        for (uint32_t r = 0; r < plan.config.members; r++)
            others ^= r == role ? 0 : disks[r].at(row);
        for (uint32_t d = 0; d + 1 < plan.config.members; d++) {
            const uint32_t r = rr_data_member(&arena->geometry, parity, d);
            const uint32_t at = stripe * full_stripe() + d * plan.config.chunk_sectors +
                                row % plan.config.chunk_sectors;
            if (!reference.may_survive(at, r == role ? others : disks[r].at(row)) &&
                !(r == role && reference.is_written(at)))
                return wrong(
                    "after a power cut without role {} stripe {} chunk {} sector {} "
                    "(role {}) holds a wrong value",
                    role, stripe, d, row % plan.config.chunk_sectors, r);
        }
    }
    over_ = true;
}

}  // namespace rr::sim
