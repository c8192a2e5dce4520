// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "engine/log_writer.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <utility>

#include "engine/words.h"
#include "ringraid/geometry.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {
namespace {

constexpr uint64_t header_sectors = md::ppl_header_bytes / 512;
// What stays free behind the end of a unit: a block of zeroes, and what md does not read.
constexpr uint64_t tail_sectors = 16;
// A unit's partial parity: a longer one is late for all of its slots.
constexpr uint64_t pp_sectors_most = 512;
static_assert(pp_sectors_most >= RR_CELL_BYTES_MAX / 512);

// With the header that the area begins with.
constexpr uint64_t area_least(uint32_t cell_bytes) {
    return 2 * header_sectors + cell_bytes / 512 + tail_sectors;
}
static_assert(md::ppl_sectors_least >= area_least(RR_CELL_BYTES_MAX));

}  // namespace

log_writer::log_writer(rr_array* array, const md::uuid& set_uuid,
                       const std::array<uint64_t, RR_MEMBERS_MAX>& area_sectors, needs how)
    : array_(array), set_uuid_(set_uuid), how_(std::move(how)) {
    for (uint32_t role = 0; role < RR_MEMBERS_MAX; role++)
        restart(role, area_sectors[role]);
    const size_t slots = size_t{array_->queues} * array_->slots;
    for (log& l : logs_) {
        l.waiting.reserve(slots);
        l.in_unit.reserve(slots);
    }
    elsewhere_.reserve(slots);
    entries_.reserve(md::ppl_entries_most + size_t{RR_UNITS_MAX} * RR_MEMBERS_MAX);
}

uint64_t log_writer::sectors_least(uint32_t cell_bytes) {
    return area_least(cell_bytes);
}

rr_slot* log_writer::slot_of(const ask& who) const {
    return rr_host_slot(array_, who.queue, who.slot);
}

// The failure is stored before a share comes back: who sees the one sees the other.
bool log_writer::failures_are_durable() const {
    const uint64_t state = load(array_->state);
    return (state & RR_STATE_BROKEN) != 0 ||
           state >> RR_STATE_EPOCH_SHIFT == load(array_->durable_epoch);
}

bool log_writer::has_log(const rr_slot& slot) const {
    const uint32_t parity = 1U << slot.parity;
    return (slot.write_mask & parity & array_->log_roles) != 0 &&
           rr_state_is_out(load(array_->state), slot.parity) == 0 &&
           (load(array_->state) & RR_STATE_BROKEN) == 0;
}

void log_writer::take(uint32_t queue) {
    const rr_queue* q = rr_host_queue(array_, queue);
    const uint32_t asked = load(q->log_asked);
    for (uint32_t& taken = taken_[queue]; taken != asked; taken++) {
        const ask who{static_cast<uint16_t>(queue), q->log_ask[taken % RR_SLOTS_MAX]};
        const rr_slot& slot = *slot_of(who);
        (has_log(slot) ? logs_[slot.parity].waiting : elsewhere_).push_back(who);
    }
}

// Whether the slot writes @sector of the role, which is within its ends; @end: up to where
// that is so.
bool log_writer::covers(const rr_slot& slot, uint32_t role, uint32_t sector, uint32_t& end) const {
    if ((slot.gaps >> role & 1) == 0)
        return true;
    const uint32_t shift = array_->unit_shift - RR_SECTOR_SHIFT;
    const uint32_t units = slot.units[role];
    uint32_t unit = sector >> shift;
    const uint32_t is_written = units >> unit & 1;
    while (unit < RR_UNITS_MAX && (units >> unit & 1) == is_written)
        unit++;
    end = std::min(end, unit << shift);
    return is_written != 0;
}

// Data roles, by their index in the stripe, that are written in @sector of the cell, and up
// to @next.
uint32_t log_writer::written_at(const rr_slot& slot, uint32_t sector, uint32_t& next) const {
    uint32_t indices = 0;
    next = slot.hi;
    for (uint32_t role = 0; role < array_->geometry.members; role++) {
        if ((slot.data_mask >> role & 1) == 0)
            continue;
        uint32_t end = slot.to[role];
        if (sector < slot.from[role]) {
            next = std::min<uint32_t>(next, slot.from[role]);
        } else if (sector < end) {
            if (covers(slot, role, sector, end))
                indices |= 1U << rr_data_index(&array_->geometry, slot.parity, role);
            next = std::min(next, end);
        }
    }
    return indices;
}

// One for each run of rows in which the same chunks are written; they are neighbours. Of a
// job's cell parity alone is written, of all data. The sectors of their partial parity.
uint64_t log_writer::add_entries(const ask& who) {
    const rr_slot& slot = *slot_of(who);
    const rr_geometry& g = array_->geometry;
    const uint32_t data = g.members - 1;
    const uint64_t row = slot.cell << (array_->cell_shift - RR_SECTOR_SHIFT);
    const uint64_t in_chunk = row & ((uint64_t{1} << g.chunk_shift) - 1);
    const auto* buffer = reinterpret_cast<const uint8_t*>(array_) +
                         rr_host_buffer(array_, who.queue, who.slot, slot.parity);
    uint64_t pp_sectors = 0;
    uint32_t next = slot.hi;
    for (uint32_t sector = slot.lo; sector < slot.hi; sector = next) {
        const bool job = slot.op == RR_OP_JOB;
        const uint32_t indices = job ? (1U << data) - 1 : written_at(slot, sector, next);
        if (indices == 0)
            continue;
        const uint32_t first = static_cast<uint32_t>(std::countr_zero(indices));
        const uint32_t disks = static_cast<uint32_t>(std::bit_width(indices)) - first;
        assert(std::popcount(indices) == static_cast<int>(disks));
        md::new_ppl_entry entry;
        entry.data_sector =
            (((row >> g.chunk_shift) * data + first) << g.chunk_shift) + in_chunk + sector;
        entry.data_bytes = disks * (next - sector) * 512;
        entry.parity_role = slot.parity;
        if (disks != data) {
            entry.pp = {buffer + size_t{sector} * 512, size_t{next - sector} * 512};
            pp_sectors += next - sector;
        }
        entries_.push_back(entry);
    }
    return pp_sectors;
}

bool log_writer::may_begin(uint32_t role) const {
    const log& l = logs_[role];
    return !l.writing && !l.waiting.empty() && load(array_->log_open[role]) == 0 &&
           failures_are_durable();
}

void log_writer::begin(uint32_t role) {
    log& l = logs_[role];
    if (!may_begin(role))
        return;
    const bool there =
        std::ranges::all_of(l.waiting, [&](const ask& who) { return has_log(*slot_of(who)); });
    if (there)
        write_unit(role);
    else
        answer(l.waiting, false);
}

log_writer::gathered log_writer::gather(const log& l) {
    uint64_t sectors = header_sectors;
    size_t n = 0;
    entries_.clear();
    for (; n < l.waiting.size(); n++) {
        const size_t before = entries_.size();
        const uint64_t pp = add_entries(l.waiting[n]);
        if (entries_.size() > md::ppl_entries_most ||
            (n != 0 && sectors + pp > header_sectors + pp_sectors_most) ||
            header_sectors + sectors + pp + tail_sectors > l.sectors) {
            entries_.resize(before);
            break;
        }
        sectors += pp;
    }
    assert(n != 0);
    return {n, sectors};
}

// Of nobody, where the area ends: the header that it begins with.
log_writer::gathered log_writer::next_unit(log& l) {
    const gathered next = gather(l);
    if (l.place + next.sectors + tail_sectors <= l.sectors)
        return next;
    entries_.clear();
    l.place = 0;
    return {0, header_sectors};
}

// Where it ends nobody finds a header. The sectors to write.
uint64_t log_writer::end_unit(log& l, uint64_t sectors) {
    const auto loud = [&l](uint64_t from, uint64_t to) {
        const uint64_t first = from < header_sectors ? 0 : from - header_sectors + 1;
        std::fill(l.quiet.begin() + static_cast<ptrdiff_t>(first),
                  l.quiet.begin() + static_cast<ptrdiff_t>(to), false);
    };
    const uint64_t end = l.place + sectors;
    const bool quiet = l.quiet[end];
    loud(l.place, end);
    l.quiet[l.place] = true;
    if (quiet)
        return sectors;
    std::ranges::fill(l.unit->span().subspan(sectors * 512, md::ppl_header_bytes), uint8_t{0});
    loud(end, end + header_sectors);
    l.quiet[end] = true;
    return sectors + header_sectors;
}

void log_writer::write_unit(uint32_t role) {
    log& l = logs_[role];
    const auto [slots, sectors] = next_unit(l);
    const auto behind = l.waiting.begin() + static_cast<ptrdiff_t>(slots);
    l.in_unit.assign(l.waiting.begin(), behind);
    l.waiting.erase(l.waiting.begin(), behind);
    md::build_ppl_unit(l.unit->span(), set_uuid_, ++l.generation, entries_);
    l.entries = entries_.size();
    const uint64_t with_end = end_unit(l, sectors);
    l.writing = true;
    const uint64_t place = l.place;
    l.place += sectors;
    how_.write(role, place, l.unit->span().first(with_end * 512));
}

void log_writer::answer(std::vector<ask>& all, bool share) {
    for (const ask& who : all) {
        rr_queue* q = rr_host_queue(array_, who.queue);
        rr_slot* slot = slot_of(who);
        if (share)
            slot->log |= RR_LOG_SHARE;
        const uint32_t answered = q->log_answered;
        q->log_answer[answered % RR_SLOTS_MAX] = who.slot;
        store(q->log_answered, answered + 1);
        answered_ |= 1U << who.queue;
    }
    all.clear();
}

void log_writer::wake_answered() {
    for (; answered_ != 0; answered_ &= answered_ - 1)
        how_.wake(static_cast<uint32_t>(std::countr_zero(answered_)));
}

void log_writer::look() {
    store(array_->log_awake, 1);
    for (uint32_t queue = 0; queue < array_->queues; queue++)
        take(queue);
    for (uint32_t role = 0; role < array_->geometry.members; role++)
        begin(role);
    if (!elsewhere_.empty() && failures_are_durable())
        answer(elsewhere_, false);
    wake_answered();
}

void log_writer::written(uint32_t role, int error) {
    log& l = logs_[role];
    l.writing = false;
    if (error != 0) {
        how_.fail(role, error);
    } else {
        store(array_->log_open[role], static_cast<uint32_t>(l.in_unit.size()));
        units_ += 1;
        entries_written_ += l.entries;
    }
    answer(l.in_unit, error == 0);
    wake_answered();
}

void log_writer::restart(uint32_t role, uint64_t sectors) {
    log& l = logs_[role];
    assert(!l.writing);
    l.sectors = sectors;
    l.place = header_sectors;
    l.generation = 0;
    l.quiet.assign(sectors, true);
    const uint64_t most = std::min(sectors, header_sectors + pp_sectors_most) + header_sectors;
    if (sectors == 0)
        l.unit.reset();
    else if (!l.unit || l.unit->size() < most * 512)
        l.unit.emplace(most * 512);
}

bool log_writer::may_sleep() {
    store(array_->log_awake, 0);
    bool more = !elsewhere_.empty() && failures_are_durable();
    for (uint32_t queue = 0; queue < array_->queues; queue++)
        more |= load(rr_host_queue(array_, queue)->log_asked) != taken_[queue];
    for (uint32_t role = 0; role < array_->geometry.members; role++)
        more |= may_begin(role);
    return !more;
}

bool log_writer::waits() const {
    return !elsewhere_.empty() ||
           std::ranges::any_of(logs_, [](const log& l) { return !l.waiting.empty(); });
}

}  // namespace rr
