// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Geometry against a dumb reference that lays chunks out one by one, as the
// pictures in md's documentation do, and never computes a position.
#include <array>
#include <vector>

#include <gtest/gtest.h>

#include "ringraid/geometry.h"

namespace {

struct placed_chunk {
    uint64_t stripe;
    uint32_t member, parity, index;
};

// Walks stripes from zero, moving the parity by one member each time.
std::vector<placed_chunk> lay_out(uint32_t members, uint32_t layout, uint64_t stripes) {
    const bool right = layout == RR_RIGHT_ASYMMETRIC || layout == RR_RIGHT_SYMMETRIC;
    const bool symmetric = layout == RR_LEFT_SYMMETRIC || layout == RR_RIGHT_SYMMETRIC;
    std::vector<placed_chunk> chunks;
    uint32_t parity = right ? 0 : members - 1;
    for (uint64_t stripe = 0; stripe < stripes; stripe++) {
        uint32_t index = 0;
        for (uint32_t step = 1; step <= members; step++) {
            const uint32_t member = symmetric ? (parity + step) % members : step - 1;
            if (member == parity)
                continue;
            chunks.push_back({stripe, member, parity, index++});
        }
        parity = right ? (parity + 1) % members : (parity + members - 1) % members;
    }
    return chunks;
}

class Geometry : public testing::TestWithParam<std::tuple<uint32_t, uint32_t, uint32_t>> {};

TEST_P(Geometry, EveryChunkIsWhereTheReferencePutsIt) {
    const auto [members, chunk_shift, layout] = GetParam();
    const rr_geometry g{members, chunk_shift, layout};
    ASSERT_TRUE(rr_geometry_valid(&g));
    const uint64_t chunk_sectors = 1ULL << chunk_shift;
    const auto chunks = lay_out(members, layout, 4ULL * members);
    for (uint64_t c = 0; c < chunks.size(); c++) {
        for (const uint64_t offset : {uint64_t{0}, chunk_sectors / 2, chunk_sectors - 1}) {
            const rr_location at = rr_locate(&g, c * chunk_sectors + offset);
            EXPECT_EQ(at.stripe, chunks[c].stripe);
            EXPECT_EQ(at.member, chunks[c].member);
            EXPECT_EQ(at.parity, chunks[c].parity);
            EXPECT_EQ(at.chunk_index, chunks[c].index);
            EXPECT_EQ(at.member_sector, chunks[c].stripe * chunk_sectors + offset);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(All, Geometry,
                         testing::Combine(testing::Range(3U, 17U), testing::Range(3U, 12U),
                                          testing::Range(0U, 4U)));

// The layout of a four-member left-symmetric array as md's documentation draws it.
TEST(GeometryVector, LeftSymmetricOnFourMembers) {
    const rr_geometry g{4, 3, RR_LEFT_SYMMETRIC};
    const std::array<uint32_t, 9> member_of_chunk{0, 1, 2, 3, 0, 1, 2, 3, 0};
    for (uint64_t c = 0; c < member_of_chunk.size(); c++)
        EXPECT_EQ(rr_locate(&g, c * 8).member, member_of_chunk.at(c)) << "chunk " << c;
    EXPECT_EQ(rr_parity_member(&g, 0), 3U);
    EXPECT_EQ(rr_parity_member(&g, 1), 2U);
    EXPECT_EQ(rr_parity_member(&g, 4), 3U);
}

TEST(GeometryLimits, LastSectorOfA64BitArrayDoesNotOverflow) {
    const rr_geometry g{16, 11, RR_LEFT_SYMMETRIC};
    const uint64_t sector = (1ULL << 55) - 1;
    const rr_location at = rr_locate(&g, sector);
    EXPECT_EQ(((at.stripe * 15 + at.chunk_index) << 11) + (sector & 2047), sector);
}

TEST(GeometryLimits, WhatCannotBeMappedIsRefused) {
    for (const rr_geometry& g : {rr_geometry{2, 7, 2}, rr_geometry{17, 7, 2}, rr_geometry{4, 2, 2},
                                 rr_geometry{4, 12, 2}, rr_geometry{4, 7, 4}, rr_geometry{0, 0, 0}})
        EXPECT_FALSE(rr_geometry_valid(&g)) << g.members << ' ' << g.chunk_shift << ' ' << g.layout;
}

}  // namespace
