// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/limits.h"

#include <algorithm>
#include <bit>

namespace rr {
namespace {

constexpr uint64_t page = 4096;
constexpr uint64_t io_bytes_default = 128 * 1024;
constexpr uint64_t block_layer_cap_bytes = 4 << 20;  // BLK_DEF_MAX_SECTORS_CAP
// All that the queues have of them, with members of 100 MB/s, is done while they park.
constexpr uint32_t zeroes_bytes = 16 << 20;
constexpr uint16_t segments_default = 128;
constexpr uint64_t segment_bytes_default = 65536;

uint8_t log2_of(uint64_t value) {
    return static_cast<uint8_t>(std::countr_zero(value));
}

// The tightest of the members' values of @field; @otherwise where none says.
uint64_t tightest(const std::vector<const member_device*>& members,
                  std::optional<uint64_t> queue_limits::* field, uint64_t otherwise) {
    uint64_t least = ~uint64_t{0};
    for (const member_device* m : members)
        least = std::min(least, (m->limits.*field).value_or(otherwise));
    return least;
}

// The largest of the members' values of @field; @otherwise where none says.
uint64_t largest(const std::vector<const member_device*>& members,
                 std::optional<uint64_t> queue_limits::* field, uint64_t otherwise) {
    uint64_t most = 0;
    for (const member_device* m : members)
        most = std::max(most, (m->limits.*field).value_or(otherwise));
    return most;
}

// The union of the members' masks of @field.
uint64_t all_bits(const std::vector<const member_device*>& members,
                  std::optional<uint64_t> queue_limits::* field, uint64_t least) {
    for (const member_device* m : members)
        least |= (m->limits.*field).value_or(0);
    return least;
}

}  // namespace

uint32_t full_stripe_bytes(const arena_layout& layout) {
    const rr_geometry& g = layout.header.geometry;
    return (g.members - 1) << (g.chunk_shift + RR_SECTOR_SHIFT);
}

uint32_t member_io_sectors(const std::vector<const member_device*>& members) {
    uint64_t bytes = tightest(members, &queue_limits::max_io_bytes, io_bytes_default);
    uint64_t segments = tightest(members, &queue_limits::max_segments, segments_default);
    // The first and the last page of a buffer may be parts: one segment more.
    if (segments > 1)
        bytes = std::min(bytes, (segments - 1) * page);
    return static_cast<uint32_t>(std::min(bytes, block_layer_cap_bytes) >> RR_SECTOR_SHIFT);
}

uint32_t request_bytes_max(const arena_layout& layout) {
    return static_cast<uint32_t>(
        std::min<uint64_t>(full_stripe_bytes(layout), block_layer_cap_bytes));
}

uint32_t zeroes_bytes_max(const arena_layout& layout) {
    const uint32_t stripe = full_stripe_bytes(layout);
    return std::max(zeroes_bytes / stripe, 1U) * stripe;
}

uint32_t chunk_bytes_max(uint32_t members) {
    return std::bit_floor(static_cast<uint32_t>(block_layer_cap_bytes) / (members - 1));
}

ublk_params device_params(const arena_layout& layout,
                          const std::vector<const member_device*>& members,
                          uint32_t logical_block_bytes) {
    const rr_geometry& g = layout.header.geometry;
    uint64_t stripe = full_stripe_bytes(layout);
    auto chunk_shift = static_cast<uint8_t>(g.chunk_shift + RR_SECTOR_SHIFT);
    uint64_t chunk_bytes = uint64_t{1} << chunk_shift;
    // The one hint that is the largest: a write of that many bytes tears on no member.
    // More than a chunk is never in one piece on a member.
    uint64_t physical = std::max<uint64_t>(
        logical_block_bytes, largest(members, &queue_limits::physical_block_bytes, page));
    physical = std::min(std::bit_floor(physical), chunk_bytes);

    ublk_params p{};
    p.types = UBLK_PARAM_TYPE_BASIC | UBLK_PARAM_TYPE_DISCARD | UBLK_PARAM_TYPE_DMA_ALIGN |
              UBLK_PARAM_TYPE_SEGMENT;
    p.basic.attrs = UBLK_ATTR_VOLATILE_CACHE | UBLK_ATTR_FUA;
    if (std::ranges::any_of(members, [](const auto* m) { return m->limits.rotational; }))
        p.basic.attrs |= UBLK_ATTR_ROTATIONAL;
    p.basic.logical_bs_shift = log2_of(logical_block_bytes);
    p.basic.physical_bs_shift = log2_of(physical);
    p.basic.io_min_shift = chunk_shift;
    p.basic.io_opt_shift = std::has_single_bit(stripe) ? log2_of(stripe) : chunk_shift;
    p.basic.max_sectors = request_bytes_max(layout) >> RR_SECTOR_SHIFT;
    p.basic.chunk_sectors = static_cast<uint32_t>(stripe >> RR_SECTOR_SHIFT);
    p.basic.dev_sectors = layout.header.array_sectors;
    p.discard.max_write_zeroes_sectors = zeroes_bytes_max(layout) >> RR_SECTOR_SHIFT;
    if (tightest(members, &queue_limits::unmapped_zeroes_bytes, 0) != 0)
        p.discard.max_discard_sectors = p.discard.max_write_zeroes_sectors;
    p.discard.max_discard_segments = 1;
    // A power of two; whole stripes are found here.
    p.discard.discard_granularity = static_cast<uint32_t>(uint64_t{1} << std::countr_zero(stripe));
    p.dma.alignment = static_cast<uint32_t>(
        all_bits(members, &queue_limits::dma_alignment, logical_block_bytes - 1) & (page - 1));
    p.basic.virt_boundary_mask = all_bits(members, &queue_limits::virt_boundary_mask, page - 1);
    p.seg.seg_boundary_mask = 0xffffffff;
    // What a request of any length has where no page is left half used in its middle: it
    // binds nothing. A member's own limit binds the pieces that it gets uncopied.
    p.seg.max_segments = static_cast<uint16_t>(request_bytes_max(layout) / page + 1);
    p.seg.max_segment_size = static_cast<uint32_t>(std::clamp<uint64_t>(
        tightest(members, &queue_limits::max_segment_bytes, segment_bytes_default), page,
        uint64_t{1} << 31));
    return p;
}

}  // namespace rr
