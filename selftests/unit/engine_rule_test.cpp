// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// md's choice between read-modify-write and reconstruct-write, as a table:
// the blocks to read for a write of so many whole blocks, and the plan. The
// rule is that of drivers/md/raid5.c, handle_stripe_dirtying().
#include <gtest/gtest.h>

#include "engine_under_test.h"

namespace {

using rr::test::shape;
using rr::test::small_array;

struct planned {
    uint32_t plan, reads;
};

// Plans a write of `sectors` at `start` of stripe 0, in the first cell.
planned plan(small_array& a, uint32_t start, uint32_t sectors, uint32_t bad = RR_NO_ROLE) {
    rr_request* r = rr_request_at(a.get(), a.queue(), 0);
    *r = {};
    r->op = RR_OP_WRITE;
    r->sector = start;
    r->sectors = sectors;
    r->pending = 1;
    rr_slot* s = rr_slot_at(a.get(), a.queue(), 0);
    *s = {};
    s->op = RR_OP_WRITE;
    rr_slot_reset(s);
    s->bad = static_cast<rr_u8>(bad);
    rr_slot_init_write(a.get(), a.queue(), 0);
    rr_slot_plan_write(a.get(), a.queue(), 0);
    return {s->plan, s->read_mask};
}

uint32_t bits(uint32_t mask) {
    return static_cast<uint32_t>(__builtin_popcount(mask));
}

TEST(EngineRule, OneBlock) {
    // N = 3: RCW, 1 read. N = 4: a tie of 2 and 2 goes to RCW. N >= 5: RMW, 2 reads.
    for (uint32_t members = 3; members <= 16; members++) {
        small_array a(shape(members, 8));
        const planned p = plan(a, 0, 8);
        EXPECT_EQ(p.plan, members >= 5 ? RR_PLAN_RMW : RR_PLAN_RCW) << members;
        EXPECT_EQ(bits(p.reads), members == 3 ? 1U : 2U) << members;
    }
}

TEST(EngineRule, AnyNumberOfBlocks) {
    for (uint32_t members = 3; members <= 16; members++)
        for (uint32_t blocks = 1; blocks < members; blocks++) {
            small_array a(shape(members, 8));
            const uint32_t rmw = blocks + 1, rcw = members - 1 - blocks;
            const planned p = plan(a, 0, blocks * 8);
            EXPECT_EQ(p.plan, rmw < rcw ? RR_PLAN_RMW : RR_PLAN_RCW) << members << " " << blocks;
            EXPECT_EQ(bits(p.reads), std::min(rmw, rcw)) << members << " " << blocks;
        }
}

TEST(EngineRule, ABlockWrittenInPartHasToBeReadForRcw) {
    // Two blocks touched, one sector each side of the border: hull is the cell.
    small_array a(shape(4, 8));
    planned p = plan(a, 7, 2);
    EXPECT_EQ(p.plan, RR_PLAN_RCW);  // rmw 3, rcw 3: a tie
    EXPECT_EQ(bits(p.reads), 3U);
    // One sector: hull of one sector, written wholly in it.
    p = plan(a, 3, 1);
    EXPECT_EQ(p.plan, RR_PLAN_RCW);
    EXPECT_EQ(bits(p.reads), 2U);
}

TEST(EngineRule, AMissingBlockExcludesTheWayThatNeedsIt) {
    const rr::array_config c = shape(6, 8);
    const rr_geometry g{6, 3, RR_LEFT_SYMMETRIC};
    const uint32_t parity = rr_parity_member(&g, 0);
    for (uint32_t d = 0; d < 5; d++) {
        const uint32_t role = rr_data_member(&g, parity, d);
        small_array a(c, 1U << role);
        for (uint32_t blocks = 1; blocks <= 5; blocks++) {
            const planned p = plan(a, 0, blocks * 8);
            // Written: RMW would read its old data. Not written: RCW would read it.
            EXPECT_EQ(p.plan, d < blocks ? RR_PLAN_RCW : RR_PLAN_RMW);
            EXPECT_FALSE(p.reads >> role & 1);
        }
        // Written in part, beside another one: neither way is left.
        const uint32_t start = d * 8 + (d < 4 ? 7 : 0), sectors = 2;
        if (d < 4) {
            const planned p = plan(a, start, sectors);
            EXPECT_EQ(p.plan, RR_PLAN_RECON);
            EXPECT_EQ(p.reads, 0x3fU & ~(1U << role));
        }
    }
    small_array a(c, 1U << parity);
    EXPECT_EQ(plan(a, 0, 8).plan, RR_PLAN_PAYLOAD);
    EXPECT_EQ(plan(a, 0, 8).reads, 0U);
}

TEST(EngineRule, ABadBlockCountsAsMissingAndIsRewritten) {
    small_array a(shape(6, 8));
    const uint32_t parity = rr_parity_member(&a->geometry, 0);
    const uint32_t first = rr_data_member(&a->geometry, parity, 0);
    const planned p = plan(a, 7, 2, first);
    EXPECT_EQ(p.plan, RR_PLAN_RECON);
    EXPECT_TRUE(rr_slot_at(a.get(), a.queue(), 0)->write_mask >> first & 1);
    EXPECT_EQ(plan(a, 0, 8, parity).plan, RR_PLAN_RCW);
}

TEST(EngineRule, ABrokenArrayTakesNoWrites) {
    small_array a(shape(4, 8), 1);
    a->state |= RR_STATE_BROKEN;
    const uint32_t before = a.queue()->action_tail;
    plan(a, 0, 8);
    ASSERT_EQ(a.queue()->action_tail, before + 1);
    const rr_action* answer = rr_action_at(a.get(), a.queue(), before);
    EXPECT_EQ(answer->act, RR_ACT_COMMIT);
    EXPECT_EQ(static_cast<int32_t>(answer->length), -RR_EIO);
}

}  // namespace
