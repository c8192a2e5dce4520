// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Writes of zeros and discards: what they become, how many cells are in work, and who has
// the slots beside them.
#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "engine_under_test.h"

namespace rr {
namespace {

constexpr uint32_t chunk = 128;  // one cell
constexpr uint32_t members = 4;
constexpr uint32_t full = chunk * (members - 1);

class EngineZero : public testing::Test {
protected:
    explicit EngineZero(uint32_t slots = 16) : a_(config(slots)) {}
    static array_config config(uint32_t slots) {
        array_config c = test::shape(members, chunk);
        c.depth = 16;
        c.slots = slots;
        return c;
    }
    rr_queue* queue() { return a_.queue(); }
    void come(uint32_t tag, uint32_t op, uint64_t sector, uint32_t sectors) {
        rr_request* r = rr_request_at(a_.get(), queue(), tag);
        *r = {};
        r->sector = sector;
        r->sectors = sectors;
        r->op = static_cast<rr_u8>(op);
        rr_request_start(a_.get(), queue(), tag);
        rr_settle(a_.get(), queue());
    }
    std::vector<rr_action> take() {
        std::vector<rr_action> all;
        while (queue()->action_head != queue()->action_tail) {
            const rr_action act = *rr_action_at(a_.get(), queue(), queue()->action_head++);
            if (act.act == RR_ACT_COMMIT)
                answered_[act.tag] = static_cast<rr_s32>(act.length);
            else
                all.push_back(act);
        }
        return all;
    }
    void done(const std::vector<rr_action>& all) {
        for (const rr_action& act : all) {
            if (act.act == RR_ACT_BLANK)
                rr_slot_blank(a_.get(), queue(), act.token, act.address);
            rr_complete(a_.get(), queue(), act.token, static_cast<rr_s32>(act.length));
        }
        rr_settle(a_.get(), queue());
    }
    std::map<uint32_t, uint32_t> drain() {
        std::map<uint32_t, uint32_t> count;
        for (std::vector<rr_action> all = take(); !all.empty(); all = take()) {
            for (const rr_action& act : all)
                count[act.act]++;
            done(all);
        }
        return count;
    }

    test::small_array a_;
    std::map<uint32_t, rr_s32> answered_;
};

TEST_F(EngineZero, StripesAreZerosOfTheMembersAndNothingElse) {
    come(0, RR_OP_ZEROES, 2 * full, 10 * full);
    auto count = drain();
    EXPECT_EQ(count[RR_ACT_ZERO], 10 * members);
    EXPECT_EQ(count[RR_ACT_WRITE] + count[RR_ACT_READ] + count[RR_ACT_COPY_IN], 0U);
    EXPECT_EQ(answered_.at(0), 0);
    EXPECT_EQ(queue()->zeroed_cells, 10U);
    EXPECT_EQ(queue()->count.xor_bytes, 0U);
    EXPECT_EQ(queue()->zeroing, 0U);
    EXPECT_EQ(queue()->free_slots, a_->slots);
}

TEST_F(EngineZero, EndsOfStripesAreOrdinaryWritesWithoutACopy) {
    come(0, RR_OP_ZEROES, full - 8, full + 16);
    auto count = drain();
    EXPECT_EQ(count[RR_ACT_ZERO], members);
    EXPECT_EQ(count[RR_ACT_WRITE], 4U) << "a block and parity, before and behind";
    EXPECT_EQ(count[RR_ACT_READ], 4U);
    EXPECT_EQ(count[RR_ACT_COPY_IN], 0U);
    EXPECT_EQ(answered_.at(0), 0);
}

TEST_F(EngineZero, ADiscardIsOfWholeStripesAndMayBeOfNone) {
    come(0, RR_OP_DISCARD, 1, 3 * full);
    EXPECT_EQ(drain()[RR_ACT_ZERO], 2 * members);
    come(1, RR_OP_DISCARD, 1, full + 1);
    EXPECT_TRUE(take().empty());
    EXPECT_EQ(answered_.at(0), 0);
    EXPECT_EQ(answered_.at(1), 0);
    EXPECT_EQ(queue()->open, 0U);
}

TEST_F(EngineZero, WhatIsNotOfTheArrayIsRefused) {
    come(0, RR_OP_ZEROES, a_->array_sectors - full, full + 1);
    come(1, RR_OP_DISCARD, a_->array_sectors, full);
    come(2, RR_OP_ZEROES, 0, 0);
    come(3, 4, 0, 8);  // WRITE_SAME
    EXPECT_TRUE(take().empty());
    EXPECT_EQ(answered_.at(0), -RR_EIO);
    EXPECT_EQ(answered_.at(1), -RR_EIO);
    EXPECT_EQ(answered_.at(2), -RR_EIO);
    EXPECT_EQ(answered_.at(3), -RR_EOPNOTSUPP);
}

TEST_F(EngineZero, AQuarterOfTheSlotsAtMostAndInOrder) {
    come(0, RR_OP_ZEROES, 0, 6 * full);
    come(1, RR_OP_ZEROES, 6 * full, 6 * full);
    EXPECT_EQ(queue()->free_slots, 12U);
    drain();
    EXPECT_EQ(answered_.at(0), 0);
    EXPECT_EQ(answered_.at(1), 0);
}

TEST_F(EngineZero, AWriteDoesNotWaitForTheRestOfThem) {
    come(0, RR_OP_ZEROES, 0, 40 * full);
    come(1, RR_OP_WRITE, 50 * full, full);
    auto first = take();
    done(first);
    std::vector<rr_action> writes;
    for (const rr_action& act : take())
        if (act.act == RR_ACT_WRITE && act.tag == 1)
            writes.push_back(act);
    EXPECT_EQ(writes.size(), members);
}

class EngineZeroFew : public EngineZero {
protected:
    EngineZeroFew() : EngineZero(1) {}
};

// With one slot they take turns.
TEST_F(EngineZeroFew, NeitherKeepsTheOtherOut) {
    come(0, RR_OP_ZEROES, 0, 8 * full);
    for (uint32_t tag = 1; tag < 8; tag++)
        come(tag, RR_OP_WRITE, (20 + tag) * full, full);
    std::vector<uint32_t> order;
    for (std::vector<rr_action> all = take(); !all.empty(); all = take()) {
        if (all[0].act == RR_ACT_ZERO || all[0].act == RR_ACT_WRITE)
            order.push_back(all[0].act);
        done(all);
    }
    EXPECT_EQ(answered_.size(), 8U);
    ASSERT_EQ(order.size(), 15U);
    for (uint32_t i = 0; i + 2 < 14; i++)
        EXPECT_FALSE(order[i] == order[i + 1] && order[i + 1] == order[i + 2]) << i;
}

TEST_F(EngineZero, NoWriteIsGatheredWithZeros) {
    come(0, RR_OP_WRITE, 8, 8);
    drain();
    // The slot that kept the cell is the one that becomes zeros, when others are in use.
    for (uint32_t tag = 2; tag < 2 + a_->slots - 1; tag++)
        if (tag < 16)
            come(tag, RR_OP_WRITE, (10 + tag) * full, 8);
    come(1, RR_OP_ZEROES, 0, 3 * full);
    come(0, RR_OP_WRITE, 8, 8);
    drain();
    EXPECT_EQ(queue()->gathered, 0U);
    EXPECT_EQ(answered_.at(0), 4096);
    EXPECT_EQ(answered_.at(1), 0);
}

TEST_F(EngineZero, WithoutAMemberTheOthersAreZeros) {
    a_->state = 1U << 2 | 1ULL << RR_STATE_EPOCH_SHIFT;
    a_->durable_epoch = 1;
    come(0, RR_OP_ZEROES, 0, full);
    auto count = drain();
    EXPECT_EQ(count[RR_ACT_ZERO], members - 1);
    EXPECT_EQ(count[RR_ACT_WRITE], 0U);
}

TEST_F(EngineZero, AMemberThatFailsIsOutAndTheAnswerWaits) {
    come(0, RR_OP_ZEROES, 0, full);
    done(take());  // the blank
    for (const rr_action& act : take())
        rr_complete(a_.get(), queue(), act.token,
                    act.role == 1 ? -RR_EIO : static_cast<rr_s32>(act.length));
    rr_settle(a_.get(), queue());
    take();
    EXPECT_EQ(a_->state & RR_STATE_MISSING, 1U << 1);
    EXPECT_TRUE(answered_.empty()) << "the failure is not durable";
    a_->durable_epoch = 1;
    rr_message(a_.get(), queue());
    rr_settle(a_.get(), queue());
    take();
    EXPECT_EQ(answered_.at(0), 0);
}

}  // namespace
}  // namespace rr
