// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// How long an I/O may be that no member splits: as NVMe commands, nobody below
// would. Compared with buffers laid out page by page.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <optional>
#include <tuple>
#include <vector>

#include "service/limits.h"

namespace {

using rr::member_device;

constexpr uint64_t page = 4096;

// Pages that a buffer touches, wherever in a page it begins (in sectors).
uint64_t pages_at_most(uint64_t bytes) {
    uint64_t most = 0;
    for (uint64_t at = 0; at < page; at += 512) {
        uint64_t n = 0;
        for (uint64_t p = 0; p < at + bytes; p += page)
            n += p + page > at ? 1 : 0;
        most = std::max(most, n);
    }
    return most;
}

uint32_t sectors_of(const std::vector<member_device>& members) {
    std::vector<const member_device*> all;
    for (const member_device& m : members)
        all.push_back(&m);
    return rr::member_io_sectors(all);
}

member_device with(std::optional<uint64_t> bytes, std::optional<uint64_t> segments) {
    member_device m;
    m.limits.max_io_bytes = bytes;
    m.limits.max_segments = segments;
    return m;
}

class MemberIo : public testing::TestWithParam<std::tuple<uint64_t, uint64_t>> {};

TEST_P(MemberIo, FitsWhereverItsBufferLies) {
    const auto [kib, segments] = GetParam();
    std::vector<member_device> members;
    members.push_back(with(4096 * 1024, 1024));
    members.push_back(with(kib * 1024, segments));
    const uint64_t bytes = uint64_t{sectors_of(members)} * 512;
    ASSERT_GT(bytes, 0U);
    EXPECT_LE(bytes, kib * 1024);
    EXPECT_LE(bytes, 4U << 20);
    if (segments > 1) {
        EXPECT_LE(pages_at_most(bytes), segments);
        // A page more would be too long, or too much for some place.
        EXPECT_TRUE(bytes + page > std::min<uint64_t>(kib * 1024, 4 << 20) ||
                    pages_at_most(bytes + page) > segments);
    }
}

INSTANTIATE_TEST_SUITE_P(All, MemberIo,
                         testing::Combine(testing::Values(4, 64, 128, 252, 512, 1280, 8192),
                                          testing::Values(1, 2, 17, 33, 128, 256)));

TEST(MemberIoDefault, WhatIsNotSaidIsTakenForLittle) {
    std::vector<member_device> members;
    members.push_back(with(std::nullopt, std::nullopt));
    EXPECT_EQ(sectors_of(members), 128U * 1024 / 512);
}

// The hint of what tears is the members' largest; a chunk is in one piece at most.
TEST(DeviceParams, ThePhysicalBlockIsTheLargest) {
    const auto announced = [](std::vector<std::optional<uint64_t>> blocks, uint32_t logical,
                              uint32_t chunk_shift) {
        std::vector<member_device> members;
        std::vector<const member_device*> all;
        for (const auto& block : blocks)
            members.emplace_back().limits.physical_block_bytes = block;
        for (const member_device& m : members)
            all.push_back(&m);
        rr::arena_layout layout;
        layout.header.geometry = {3, chunk_shift, 2};
        const ublk_params p = rr::device_params(layout, all, logical);
        EXPECT_GE(p.basic.physical_bs_shift, p.basic.logical_bs_shift);
        return 1U << p.basic.physical_bs_shift;
    };
    EXPECT_EQ(announced({512, 4096, 512}, 512, 7), 4096U);
    EXPECT_EQ(announced({512, 512, 512}, 512, 7), 512U);
    EXPECT_EQ(announced({512, 512, 512}, 4096, 7), 4096U);
    EXPECT_EQ(announced({512, 16384, 4096}, 512, 7), 16384U);
    EXPECT_EQ(announced({512, 16384, 4096}, 512, 3), 4096U) << "no more than a chunk";
    EXPECT_EQ(announced({512, std::nullopt, 512}, 512, 7), 4096U);
}

TEST(DeviceParams, OneMemberThatRotatesMakesTheArrayOne) {
    const auto attrs = [](std::vector<bool> rotates) {
        std::vector<member_device> members;
        std::vector<const member_device*> all;
        for (const bool one : rotates)
            members.emplace_back().limits.rotational = one;
        for (const member_device& m : members)
            all.push_back(&m);
        rr::arena_layout layout;
        layout.header.geometry = {3, 7, 2};
        return rr::device_params(layout, all, 512).basic.attrs & UBLK_ATTR_ROTATIONAL;
    };
    EXPECT_EQ(attrs({false, false, false}), 0U);
    EXPECT_NE(attrs({false, false, true}), 0U);
}

// mkfs.xfs refuses a stripe unit that has no width.
TEST(DeviceParams, TheOptimalSizeIsTheStripeOrAChunk) {
    const member_device one = with(512 * 1024, 127);
    for (uint32_t members = 3; members <= 16; members++) {
        const std::vector<const member_device*> all(members, &one);
        rr::arena_layout layout;
        layout.header.geometry = {members, 7, 2};
        const uint32_t stripe = (members - 1) * 65536;
        const bool power = std::has_single_bit(members - 1);
        EXPECT_EQ(rr::full_stripe_bytes(layout), stripe);
        EXPECT_EQ(1U << rr::device_params(layout, all, 512).basic.io_opt_shift,
                  power ? stripe : 65536U);
    }
}

// What a client may send in one request does not depend on what a member takes at once.
TEST(DeviceParams, AFullStripeOfOrdinaryPagesIsOneRequest) {
    for (uint64_t segments : {1, 33, 127, 1024})
        for (uint32_t members : {3, 5, 9}) {
            const member_device one = with(512 * 1024, segments);
            const std::vector<const member_device*> all(members, &one);
            rr::arena_layout layout;
            layout.header.geometry = {members, 10, 2};
            const ublk_params p = rr::device_params(layout, all, 512);
            const uint64_t stripe = uint64_t{members - 1} << 19;
            EXPECT_EQ(uint64_t{p.basic.max_sectors} * 512, stripe);
            EXPECT_GE(p.seg.max_segments, pages_at_most(stripe));
            // Else pieces of a piece could be as small as a sector.
            EXPECT_EQ(p.basic.virt_boundary_mask & (page - 1), page - 1);
        }
}

// A discard is a promise of zeros: only where each member gives it.
TEST(DeviceParams, ZerosAreAnnouncedAlwaysADiscardWhereAllDeallocate) {
    const auto announced = [](std::vector<std::optional<uint64_t>> unmapped, uint32_t shift) {
        std::vector<member_device> members;
        std::vector<const member_device*> all;
        for (const auto& bytes : unmapped)
            members.emplace_back().limits.unmapped_zeroes_bytes = bytes;
        for (const member_device& m : members)
            all.push_back(&m);
        rr::arena_layout layout;
        layout.header.geometry = {static_cast<uint32_t>(unmapped.size()), shift, 2};
        const ublk_params p = rr::device_params(layout, all, 512);
        EXPECT_NE(p.types & UBLK_PARAM_TYPE_DISCARD, 0U);
        EXPECT_EQ(p.discard.max_discard_segments, 1U);
        EXPECT_TRUE(std::has_single_bit(p.discard.discard_granularity));
        const uint32_t stripe = rr::full_stripe_bytes(layout);
        EXPECT_EQ(stripe % p.discard.discard_granularity, 0U);
        EXPECT_EQ(p.discard.max_write_zeroes_sectors * 512 % stripe, 0U);
        EXPECT_GE(p.discard.max_write_zeroes_sectors * 512, stripe);
        return p.discard;
    };
    EXPECT_EQ(announced({65536, 4096, 1}, 7).max_discard_sectors, 32768U);
    EXPECT_EQ(announced({65536, 0, 4096}, 7).max_discard_sectors, 0U);
    EXPECT_EQ(announced({65536, 4096, std::nullopt}, 7).max_discard_sectors, 0U);
    EXPECT_EQ(announced({65536, 4096, std::nullopt}, 7).max_write_zeroes_sectors, 32768U);
    EXPECT_EQ(announced({1, 1, 1, 1}, 7).max_discard_sectors, 85U * 3 * 128);
    EXPECT_EQ(announced(std::vector<std::optional<uint64_t>>(16, 1), 11).max_discard_sectors,
              15U * 2048);
}

TEST(DeviceParams, TheLargestChunkKeepsAStripeInOneRequest) {
    for (uint32_t members = RR_MEMBERS_MIN; members <= RR_MEMBERS_MAX; members++) {
        const uint64_t chunk = rr::chunk_bytes_max(members);
        EXPECT_LE(chunk * (members - 1), 4U << 20);
        EXPECT_GT(2 * chunk * (members - 1), 4U << 20);
    }
    EXPECT_EQ(rr::chunk_bytes_max(9), 512U * 1024);
    EXPECT_EQ(rr::chunk_bytes_max(10), 256U * 1024);
    EXPECT_EQ(rr::chunk_bytes_max(5), 1024U * 1024);
}

}  // namespace
