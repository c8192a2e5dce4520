// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "engine/redo.h"

#include <cerrno>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>

#include "engine/layout.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {
namespace {

constexpr uint32_t actions_limit = 1U << 20;

// What a record of rows of zeros stands for.
alignas(4096) constinit std::array<std::byte, RR_CELL_BYTES_MAX> zeros{};

rr_array* array_of(std::span<std::byte> memory) {
    return reinterpret_cast<rr_array*>(memory.data());
}

// Those that sectors [from, to) of a cell touch.
uint32_t units_of(const rr_array* a, uint32_t from, uint32_t to) {
    const uint32_t shift = a->unit_shift - RR_SECTOR_SHIFT;
    return (2U << ((to - 1) >> shift)) - (1U << (from >> shift));
}

// Calls f(from, to) for the sectors of each run of units that a record has of @role.
template <typename F>
void each_run(const rr_array* a, const rr_slot* s, uint32_t role, F f) {
    const uint32_t shift = a->unit_shift - RR_SECTOR_SHIFT;
    for (uint32_t units = s->units[role]; units != 0;) {
        const auto first = static_cast<uint32_t>(std::countr_zero(units));
        const auto count = static_cast<uint32_t>(std::countr_one(units >> first));
        f(std::max<uint32_t>(first << shift, s->from[role]),
          std::min<uint32_t>((first + count) << shift, s->to[role]));
        units &= ~(((1U << count) - 1) << first);
    }
}

Status check_slot(const rr_array* a, const rr_slot* s) {
    const uint64_t cell_sectors = 1ULL << (a->cell_shift - RR_SECTOR_SHIFT);
    const uint32_t known =
        ((1U << a->geometry.members) - 1) | rr_replacement_bit(a->geometry.members);
    if (s->cell >= a->member_sectors / cell_sectors || (s->write_mask & ~known) != 0)
        return fail(EINVAL, "a record names cell {} of roles {:#x}", s->cell, s->write_mask);
    for (uint32_t role = 0; role < RR_MEMBERS_MAX; role++)
        if (s->write_mask >> role & 1 &&
            (s->from[role] >= s->to[role] || s->to[role] > cell_sectors || s->units[role] == 0 ||
             (s->units[role] & ~units_of(a, s->from[role], s->to[role])) != 0))
            return fail(EINVAL, "a record names sectors {} to {} of a cell, units {:#x}",
                        s->from[role], s->to[role], s->units[role]);
    return {};
}

// Calls f(queue, slot number, slot) for every slot that was writing.
template <typename F>
void each_record(rr_array* a, F f) {
    for (uint32_t q = 0; q < a->queues; q++)
        for (uint32_t n = 0; n < a->slots; n++)
            if (rr_slot* s = rr_host_slot(a, q, n); s->phase == RR_PHASE_WRITE)
                f(q, n, s);
}

// Also of the index of the replacement.
bool out(const rr_array* a, uint32_t role) {
    return role < a->geometry.members ? rr_state_is_out(a->state, role) != 0
                                      : (a->state & RR_STATE_REPLACE) == 0;
}

}  // namespace

Status check_arena(std::span<std::byte> memory) {
    if (memory.size() < sizeof(rr_array))
        return fail(EINVAL, "the arena has {} bytes", memory.size());
    const rr_array* a = array_of(memory);
    if (a->magic != RR_ABI_MAGIC)
        return fail(EINVAL, "the arena is not one of ours");
    if (a->abi_version != RR_ABI_VERSION)
        return fail(EPROTO, "its arena has version {}, and this ringraid knows {}", a->abi_version,
                    static_cast<int>(RR_ABI_VERSION));
    if (!rr_geometry_valid(&a->geometry) || a->queues < 1 || a->queues > RR_QUEUES_MAX ||
        a->depth < 1 || a->depth > RR_DEPTH_MAX || a->slots < 1 || a->slots > RR_SLOTS_MAX)
        return fail(EINVAL, "the arena's header makes no sense");
    const uint32_t chunk_bytes_shift = a->geometry.chunk_shift + RR_SECTOR_SHIFT;
    if (!std::has_single_bit(a->actions) || a->actions > actions_limit ||
        a->cell_shift > chunk_bytes_shift || 1U << a->cell_shift > RR_CELL_BYTES_MAX ||
        a->cell_shift < RR_SECTOR_SHIFT || a->unit_shift < RR_SECTOR_SHIFT ||
        a->unit_shift > a->cell_shift || a->cell_shift - a->unit_shift > 4 ||
        a->member_sectors == 0 || a->replaced >= a->geometry.members ||
        ((a->state & RR_STATE_REPLACE) != 0 && a->geometry.members >= RR_MEMBERS_MAX))
        return fail(EINVAL, "the arena's header makes no sense");
    const uint64_t last_stripe = (a->member_sectors - 1) >> a->geometry.chunk_shift;
    // The sectors of one are a number.
    constexpr uint32_t bits = 64 - RR_SECTOR_SHIFT;
    if (a->region_shift >= bits || a->region_shift + a->geometry.chunk_shift >= bits ||
        a->regions < 1 || a->regions > RR_REGIONS_MAX ||
        last_stripe >> a->region_shift != a->regions - 1)
        return fail(EINVAL, "the arena's header makes no sense");
    rr_array placed = *a;
    place_parts(placed);
    if (a->bytes > memory.size() || placed.bytes != a->bytes ||
        placed.life_offset != a->life_offset || placed.regions_offset != a->regions_offset ||
        placed.queues_offset != a->queues_offset || placed.requests_offset != a->requests_offset ||
        placed.slots_offset != a->slots_offset || placed.locks_offset != a->locks_offset ||
        placed.actions_offset != a->actions_offset || placed.buffers_offset != a->buffers_offset)
        return fail(EINVAL, "the arena's parts are not where they belong");
    return {};
}

Result<redo_report> redo_writes(std::span<std::byte> memory, redo_io& io) {
    if (Status ok = check_arena(memory); !ok)
        return forward_error(ok.error());
    rr_array* a = array_of(memory);
    Status sane;
    each_record(a, [&](uint32_t, uint32_t, rr_slot* s) {
        if (sane)
            sane = check_slot(a, s);
    });
    if (!sane)
        return forward_error(sane.error());

    redo_report done;
    // One failure too many, met here: the rest is for a try when the disks are well.
    const bool was_broken = (a->state & RR_STATE_BROKEN) != 0;
    auto hopeless = [&] { return !was_broken && (a->state & RR_STATE_BROKEN) != 0; };
    each_record(a, [&](uint32_t q, uint32_t n, rr_slot* s) {
        if (hopeless())
            return;
        done.slots++;
        for (uint32_t role = 0; role < RR_MEMBERS_MAX; role++) {
            if (!(s->write_mask >> role & 1) || out(a, role))
                continue;
            const uint32_t of = role < a->geometry.members ? role : a->replaced;
            each_run(a, s, role, [&](uint32_t from, uint32_t to) {
                const uint64_t skip = uint64_t{from} << RR_SECTOR_SHIFT;
                const uint64_t bytes = uint64_t{to - from} << RR_SECTOR_SHIFT;
                const uint64_t position = (a->members[role].data_offset << RR_SECTOR_SHIFT) +
                                          (s->cell << a->cell_shift) + skip;
                const std::span<const std::byte> data =
                    s->zero == RR_ZERO_ROWS
                        ? std::span<const std::byte>(zeros).first(bytes)
                        : memory.subspan(rr_host_buffer(a, q, n, of) + skip, bytes);
                const int err = io.write(role, position, data);
                if (err)
                    rr_host_fail(a, role, -err);
                done.writes++;
                done.bytes += bytes;
            });
        }
    });
    for (uint32_t role = 0; role <= a->geometry.members && role < RR_MEMBERS_MAX; role++)
        if (!out(a, role) && !hopeless())
            if (const int err = io.flush(role))
                rr_host_fail(a, role, -err);
    return done;
}

void restart_arena(std::span<std::byte> memory) {
    rr_array* a = array_of(memory);

    // The records go first: half of one must never be taken for a whole.
    for (uint32_t q = 0; q < a->queues; q++)
        for (uint32_t n = 0; n < a->slots; n++)
            rr_host_slot(a, q, n)->phase = RR_PHASE_FREE;
    std::atomic_signal_fence(std::memory_order_seq_cst);

    for (rr_member& m : a->members)
        std::memset(m.flushed, 0, sizeof(m.flushed));
    std::memset(memory.data() + a->queues_offset, 0, a->buffers_offset - a->queues_offset);
    a->park = a->rest = 0;
    a->log_awake = 0;
    std::memset(a->log_open, 0, sizeof(a->log_open));
    // What was in work is done again: nothing above the frontier is relied upon.
    a->job.next = a->job.frontier;
    a->job.done = a->job.in_work = a->job.ended = 0;
    init_queues(a);
}

}  // namespace rr
