// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Which requests are taken: what lies in one stripe of the array. Anything else
// is answered with an error at once, and touches no member.
#include <gtest/gtest.h>

#include <cstdint>

#include "engine_under_test.h"

namespace {

using rr::test::shape;
using rr::test::small_array;

class EngineRequest : public testing::TestWithParam<uint8_t> {
protected:
    // -EIO and the like, or 0: it was begun.
    int32_t start(small_array& a, uint64_t sector, uint32_t sectors) {
        rr_queue* q = a.queue();
        rr_request* r = rr_request_at(a.get(), q, 0);
        *r = {};
        r->op = GetParam();
        r->sector = sector;
        r->sectors = sectors;
        rr_request_start(a.get(), q, 0);
        rr_settle(a.get(), q);
        EXPECT_NE(q->action_head, q->action_tail);
        const rr_action* first = rr_action_at(a.get(), q, q->action_head);
        if (first->act != RR_ACT_COMMIT)
            return 0;
        EXPECT_EQ(q->action_head + 1, q->action_tail);
        EXPECT_EQ(q->open, 0U);
        return static_cast<int32_t>(first->length);
    }

    int32_t start_at(uint64_t sector, uint32_t sectors) {
        small_array a(config_);
        return start(a, sector, sectors);
    }

    const rr::array_config config_ = shape(4, 8);
    const uint64_t full_ = 3 * 8, end_ = 64 * full_;
};

TEST_P(EngineRequest, OneStripeIsTaken) {
    for (uint64_t from : {uint64_t{0}, full_, end_ - full_})
        for (uint32_t at = 0; at < full_; at++)
            for (uint32_t sectors = 1; sectors <= full_ - at; sectors++)
                ASSERT_EQ(start_at(from + at, sectors), 0) << from + at << " " << sectors;
}

TEST_P(EngineRequest, WhatCrossesAStripeIsRefusedWhole) {
    for (uint64_t from : {uint64_t{0}, full_, end_ - 2 * full_})
        for (uint32_t at = 0; at < full_; at++)
            for (uint32_t more : {1U, 8U, 24U, 25U, UINT32_MAX - 24})
                ASSERT_EQ(start_at(from + at, static_cast<uint32_t>(full_) - at + more), -RR_EIO)
                    << from + at << " " << more;
}

TEST_P(EngineRequest, NothingAndWhatIsBehindTheEndAreRefused) {
    EXPECT_EQ(start_at(0, 0), -RR_EIO);
    EXPECT_EQ(start_at(end_ - 1, 0), -RR_EIO);
    EXPECT_EQ(start_at(end_ - 1, 2), -RR_EIO);
    EXPECT_EQ(start_at(end_ - 8, UINT32_MAX), -RR_EIO);
    for (uint64_t sector : {end_, end_ + 1, end_ + full_, UINT64_MAX - 7, UINT64_MAX})
        for (uint32_t sectors : {1U, 8U, UINT32_MAX})
            EXPECT_EQ(start_at(sector, sectors), -RR_EIO) << sector << " " << sectors;
}

INSTANTIATE_TEST_SUITE_P(All, EngineRequest, testing::Values(RR_OP_READ, RR_OP_WRITE));

}  // namespace
