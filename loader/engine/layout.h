// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// How the arena is laid out: sizes from geometry and options, once, at start.
//
// plan_layout() turns a configuration into offsets and refuses what does not
// fit; init_arena() writes the header, empties every list and frees every slot
// in memory that it is given. Nothing else ever allocates in the arena.
//
// The cell (unit of parity work) is the chunk, at most 64 KiB, and at most
// what every member takes in one I/O, so that a cell's member I/O is never
// split. The action ring has room for all that a queue can have in flight.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "ringraid/abi.h"
#include "ringraid/life.h"

namespace rr {

struct array_config {
    uint32_t members = 0;
    uint32_t chunk_sectors = 0;
    uint32_t layout = RR_LEFT_SYMMETRIC;  // enum rr_layout
    uint32_t queues = 1;
    uint32_t depth = 64;               // tags per queue, at most RR_DEPTH_MAX
    uint32_t slots = 64;               // per queue, at most RR_SLOTS_MAX
    uint32_t member_io_sectors = 256;  // longest I/O that no member splits
    bool zero_copy = true;
    uint64_t member_sectors = 0;                    // used per member, whole chunks
    uint64_t region_sectors = uint64_t{128} << 10;  // of a member, at the least; a power of two
    std::array<uint64_t, RR_MEMBERS_MAX>
        data_offset{};                              // sectors, by role; the replacement's behind
    uint64_t buffer_bytes_max = uint64_t{4} << 30;  // of all slots
};

struct arena_layout {
    rr_array header{};  // ready to copy to the start of the arena
    uint64_t bytes = 0;
};

// Errors: EINVAL for a bad geometry or option, E2BIG when the buffers are more than they may be.
Result<arena_layout> plan_layout(const array_config& config);

// Offsets and size of the parts, from the counts and the cell in the header: the
// only arena that a header with them can belong to.
void place_parts(rr_array& header);

// Of the buffers of a queue's slots, which lie together; the first is slot 0's for role 0.
uint64_t queue_buffer_bytes(const rr_array& header);

// The record of whose arena it is; @memory begins with a sane header.
rr_life* life_of(std::span<std::byte> memory);

// Writes the header and resets all queues, requests, slots and locks.
// `memory` has at least layout.bytes bytes and is page aligned. `missing` is
// the mask of roles without a member.
void init_arena(std::span<std::byte> memory, const arena_layout& layout, uint32_t missing);

// Gives zeroed queues their numbers, empty lists and free slots.
void init_queues(rr_array* array);

}  // namespace rr
