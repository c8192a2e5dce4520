// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "engine/layout.h"

#include <cerrno>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <vector>

#include <fmt/ranges.h>

extern "C" {
#include "engine/host.h"
}

namespace rr {
namespace {

constexpr uint64_t page = 4096;
constexpr uint64_t arena_bytes_most = uint64_t{4} << 30;  // the kernel's limit
static_assert(sizeof(rr_array) <= page, "the header is the arena's first page");
constexpr uint32_t unit_shift_min = RR_SECTOR_SHIFT;

uint64_t round_up(uint64_t value, uint64_t to) {
    return (value + to - 1) / to * to;
}

Status check_config(const array_config& c) {
    if (c.members < RR_MEMBERS_MIN || c.members > RR_MEMBERS_MAX)
        return with_hint(fail(EINVAL, "{} members", c.members), "RAID5 takes 3 to 16 members");
    if (!std::has_single_bit(c.chunk_sectors) || c.chunk_sectors < RR_CHUNK_SECTORS_MIN ||
        c.chunk_sectors > RR_CHUNK_SECTORS_MAX)
        return with_hint(fail(EINVAL, "a chunk of {} sectors", c.chunk_sectors),
                         "use a power of two from 4 KiB to 1 MiB");
    if (c.layout > RR_RIGHT_SYMMETRIC)
        return fail(EINVAL, "layout {} is not one of the four rotating ones", c.layout);
    if (c.queues < 1 || c.queues > RR_QUEUES_MAX)
        return with_hint(fail(EINVAL, "{} queues", c.queues), "use 1 to 16 queues");
    if (c.depth < 1 || c.depth > RR_DEPTH_MAX)
        return with_hint(fail(EINVAL, "a depth of {}", c.depth), "use 1 to 256");
    if (c.slots < 1 || c.slots > RR_SLOTS_MAX)
        return with_hint(fail(EINVAL, "{} slots per queue", c.slots), "use 1 to 256");
    if (c.member_sectors == 0 || c.member_sectors % c.chunk_sectors != 0)
        return fail(EINVAL, "{} sectors per member are not whole chunks", c.member_sectors);
    return {};
}

// Everything that a queue can have emitted and not yet had completed.
uint64_t actions_needed(const array_config& c, uint32_t read_cut, uint32_t cell) {
    const uint64_t data = c.members - 1;
    const uint64_t pieces = data * uint64_t{std::max(1U, c.chunk_sectors / read_cut)};
    const uint64_t written = c.members + 1;  // a replacement, too
    // Of a slot the copies, or a write for each run of units. Of all slots: where a request
    // has a piece, there is a run of it at most, one of parity, and one of a replacement.
    const uint64_t of_one = std::max<uint64_t>(RR_PARTS_MAX, written * RR_UNITS_MAX / 2);
    const uint64_t of_all = 3 * c.depth * data * (c.chunk_sectors / cell) + c.slots * written;
    return c.depth * (pieces + 1) + std::min(c.slots * of_one, of_all) + written;
}

// Whole stripes, so that a request lies in one region.
void size_regions(rr_array& h, const array_config& c) {
    const uint64_t stripes = c.member_sectors / c.chunk_sectors;
    while (uint64_t{c.chunk_sectors} << h.region_shift < c.region_sectors)
        h.region_shift++;
    while ((stripes - 1) >> h.region_shift >= RR_REGIONS_MAX)
        h.region_shift++;
    h.regions = static_cast<uint32_t>(((stripes - 1) >> h.region_shift) + 1);
}

// What would fit, each by itself.
std::string what_fits(const rr_array& h, const array_config& c) {
    constexpr uint64_t mib = 1 << 20;
    const uint64_t queue = queue_buffer_bytes(h), wanted = h.queues * queue;
    // Beside the buffers there is the rest, which is less with less of them.
    const uint64_t most = std::min(c.buffer_bytes_max,
                                   arena_bytes_most - std::min(arena_bytes_most, h.buffers_offset));
    const uint64_t slots = most / (h.queues * (queue / h.slots));
    const uint64_t queues = most / queue;
    std::vector<std::string> ways;
    if (h.bytes <= arena_bytes_most)
        ways.push_back(fmt::format("--arena {}M", (wanted + mib - 1) / mib));
    if (slots > 0)
        ways.push_back(fmt::format("--slots {}", slots));
    if (queues > 0)
        ways.push_back(fmt::format("--queues {}", queues));
    return ways.empty() ? "use a smaller chunk" : fmt::format("give {}", fmt::join(ways, " or "));
}

Status check_size(const rr_array& h, const array_config& c) {
    const uint64_t wanted = h.queues * queue_buffer_bytes(h);
    if (wanted <= c.buffer_bytes_max && h.bytes <= arena_bytes_most)
        return {};
    return with_hint(fail(E2BIG,
                          "{} queues of {} slots for {} members need {} bytes of buffers, and "
                          "--arena lets them have {}",
                          h.queues, h.slots, h.geometry.members, wanted, c.buffer_bytes_max),
                     what_fits(h, c));
}

}  // namespace

Result<arena_layout> plan_layout(const array_config& c) {
    if (Status ok = check_config(c); !ok)
        return forward_error(ok.error());

    uint32_t io = std::bit_floor(c.member_io_sectors);
    uint32_t cell = std::min({c.chunk_sectors, uint32_t{RR_CELL_BYTES_MAX >> RR_SECTOR_SHIFT}, io});
    if (cell < RR_CHUNK_SECTORS_MIN || c.chunk_sectors / cell > RR_CELLS_MAX)
        return with_hint(
            fail(EINVAL, "a member takes only {} sectors in one I/O", c.member_io_sectors),
            "use a smaller chunk");

    arena_layout out;
    rr_array& h = out.header;
    h.magic = RR_ABI_MAGIC;
    h.abi_version = RR_ABI_VERSION;
    h.queues = c.queues;
    h.geometry.members = c.members;
    h.geometry.chunk_shift = static_cast<uint32_t>(std::countr_zero(c.chunk_sectors));
    h.geometry.layout = c.layout;
    h.depth = c.depth;
    h.slots = c.slots;
    h.cell_shift = static_cast<uint32_t>(std::countr_zero(cell)) + RR_SECTOR_SHIFT;
    h.unit_shift = std::max(h.cell_shift - 4, unit_shift_min);
    h.read_cut = std::min(io, c.chunk_sectors);
    h.actions = static_cast<uint32_t>(std::bit_ceil(actions_needed(c, h.read_cut, cell)));
    h.zero_copy = c.zero_copy;
    h.member_sectors = c.member_sectors;
    h.array_sectors = c.member_sectors * (c.members - 1);
    for (uint32_t i = 0; i < RR_MEMBERS_MAX; i++)
        h.members[i].data_offset = c.data_offset[i];

    size_regions(h, c);
    place_parts(h);
    out.bytes = h.bytes;
    if (Status ok = check_size(h, c); !ok)
        return forward_error(ok.error());
    return out;
}

uint64_t queue_buffer_bytes(const rr_array& h) {
    return uint64_t{h.slots} * h.geometry.members << h.cell_shift;
}

void place_parts(rr_array& h) {
    uint64_t at = page;
    auto place = [&at](uint64_t bytes) {
        uint64_t here = at;
        at = round_up(at + bytes, page);
        return here;
    };
    h.life_offset = place(RR_LIFE_BYTES);
    h.regions_offset = place(uint64_t{h.regions} * sizeof(rr_u32));
    h.latency_offset = place(uint64_t{h.queues} * sizeof(rr_latencies));
    h.queues_offset = place(uint64_t{h.queues} * sizeof(rr_queue));
    h.requests_offset = place(uint64_t{h.queues} * h.depth * sizeof(rr_request));
    h.slots_offset = place(uint64_t{h.queues} * h.slots * sizeof(rr_slot));
    h.locks_offset = place(uint64_t{RR_LOCKS} * sizeof(rr_lock));
    h.bundles_offset = place(uint64_t{h.queues} * sizeof(rr_bundles));
    h.actions_offset = place(uint64_t{h.queues} * h.actions * sizeof(rr_action));
    h.buffers_offset = place((uint64_t{h.queues} * h.slots * h.geometry.members) << h.cell_shift);
    h.bytes = at;
}

rr_life* life_of(std::span<std::byte> memory) {
    const auto* a = reinterpret_cast<const rr_array*>(memory.data());
    return reinterpret_cast<rr_life*>(memory.data() + a->life_offset);
}

void init_arena(std::span<std::byte> memory, const arena_layout& layout, uint32_t missing) {
    auto* a = reinterpret_cast<rr_array*>(memory.data());
    std::memset(memory.data(), 0, layout.header.buffers_offset);
    // A write to every page: neither side may ever fault one in.
    for (uint64_t at = layout.header.buffers_offset; at < layout.bytes; at += page)
        memory[at] = std::byte{0};
    *a = layout.header;
    a->state = missing;
    init_queues(a);
}

void init_queues(rr_array* a) {
    for (uint32_t i = 0; i < a->queues; i++) {
        rr_queue* q = rr_host_queue(a, i);
        q->id = i;
        // What it counts before its first look is found where the next era looks for it.
        q->era = a->region_era;
        for (rr_fifo* f :
             {&q->slot_wait, &q->held, &q->flush_now, &q->flush_next, &q->lock_wait, &q->starting,
              &q->rest_wait, &q->region_wait, &q->log_wait, &q->zero_wait, &q->parked})
            f->head = f->tail = RR_NIL;
        q->free_slot = 0;
        q->free_tail = static_cast<rr_u16>(a->slots - 1);
        std::fill(std::begin(q->kept_at), std::end(q->kept_at), rr_u16{RR_NIL});
        q->free_slots = static_cast<rr_u16>(a->slots);
        for (uint32_t s = 0; s < a->slots; s++) {
            rr_slot* slot = rr_host_slot(a, i, s);
            slot->next = s + 1 < a->slots ? static_cast<rr_u16>(s + 1) : rr_u16{RR_NIL};
            slot->prev = s != 0 ? static_cast<rr_u16>(s - 1) : rr_u16{RR_NIL};
        }
    }
}

}  // namespace rr
