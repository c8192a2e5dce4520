// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A token gives back what was put into it, at the ends of every field.
#include <gtest/gtest.h>

#include "ringraid/abi.h"

namespace {

TEST(EngineToken, EveryFieldComesBack) {
    for (uint32_t kind = RR_TOKEN_CLIENT; kind <= RR_TOKEN_NOTIFY; kind++)
        for (uint32_t role : {0U, 1U, 15U})
            for (uint32_t index : {0U, 1U, 255U, 0xffffU})
                for (uint32_t sector : {0U, 1U, 0x8000U, 0xffffU})
                    for (uint32_t sectors : {0U, 8U, 2048U, 0xffffU}) {
                        const uint64_t t =
                            rr_token_extent(rr_token(kind, role, index), sector, sectors);
                        ASSERT_EQ(rr_token_kind(t), kind);
                        ASSERT_EQ(rr_token_role(t), role);
                        ASSERT_EQ(rr_token_index(t), index);
                        ASSERT_EQ(rr_token_sector(t), sector);
                        ASSERT_EQ(rr_token_sectors(t), sectors);
                    }
}

TEST(EngineToken, TheLargestRequestFits) {
    // A full stripe of the largest array, and one direct read of it.
    constexpr uint32_t full = (RR_MEMBERS_MAX - 1) * RR_CHUNK_SECTORS_MAX;
    static_assert(full <= 0xffff, "a sector of a request has 16 bits");
    static_assert(RR_CHUNK_SECTORS_MAX <= 0xffff);
    const uint64_t t =
        rr_token_extent(rr_token(RR_TOKEN_DIRECT, 15, RR_DEPTH_MAX - 1), full - 1, 1);
    EXPECT_EQ(rr_token_sector(t), full - 1);
}

}  // namespace
