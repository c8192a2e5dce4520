// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Writes that meet at a cell: what they cost together, and what each is answered.
#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "meanwhile.h"

#include "engine_under_test.h"

namespace rr {
namespace {

using test::small_array;

constexpr uint32_t chunk = 128;  // one cell; a unit is 8 sectors
constexpr uint32_t members = 5;
constexpr uint32_t full = chunk * (members - 1);

class EngineGather : public testing::Test {
protected:
    explicit EngineGather(uint32_t cells = 1) : a_(config(cells), 0) {}
    static array_config config(uint32_t cells) {
        array_config c = test::shape(members, cells * chunk);
        c.depth = 128;
        c.queues = 2;
        c.slots = static_cast<uint16_t>(4 * cells);
        return c;
    }

    rr_queue* queue(uint32_t n = 0) { return a_.queue(n); }
    void settle(uint32_t n = 0) { rr_settle(a_.get(), queue(n)); }
    // A write comes; settle() is the caller's.
    void come(uint32_t tag, uint32_t sector, uint32_t sectors, uint32_t flags = 0,
              uint32_t on_queue = 0) {
        rr_request* r = rr_request_at(a_.get(), queue(on_queue), tag);
        *r = {};
        r->sector = sector;
        r->sectors = sectors;
        r->op = RR_OP_WRITE;
        r->flags = static_cast<rr_u8>(flags);
        rr_request_start(a_.get(), queue(on_queue), tag);
    }
    // The actions that are there now, with one result each; answers go to answered_.
    std::vector<rr_action> take(uint32_t on_queue = 0) {
        std::vector<rr_action> all;
        rr_queue* q = queue(on_queue);
        while (q->action_head != q->action_tail) {
            const rr_action act = *rr_action_at(a_.get(), q, q->action_head++);
            if (act.act == RR_ACT_COMMIT)
                answered_[act.tag] = static_cast<rr_s32>(act.length);
            else
                all.push_back(act);
        }
        return all;
    }
    void done(const std::vector<rr_action>& all, uint32_t on_queue = 0) {
        for (const rr_action& act : all)
            rr_complete(a_.get(), queue(on_queue), act.token, static_cast<rr_s32>(act.length));
        settle(on_queue);
    }
    // All to its end; how many of each kind there were.
    std::map<uint32_t, uint32_t> drain(uint32_t on_queue = 0) {
        std::map<uint32_t, uint32_t> count;
        for (std::vector<rr_action> all = take(on_queue); !all.empty(); all = take(on_queue)) {
            for (const rr_action& act : all)
                count[act.act]++;
            done(all, on_queue);
        }
        return count;
    }
    static uint32_t sectors_of(const std::vector<rr_action>& all, uint32_t role) {
        uint32_t sum = 0;
        for (const rr_action& act : all)
            sum += act.role == role ? act.length / 512 : 0;
        return sum;
    }
    uint32_t parity() { return rr_parity_member(&a_->geometry, 0); }
    uint32_t role(uint32_t data) { return rr_data_member(&a_->geometry, parity(), data); }

    small_array a_;
    std::map<uint32_t, rr_s32> answered_;
};

// A chunk is four cells, so writes are of several.
class EngineGatherCells : public EngineGather {
protected:
    EngineGatherCells() : EngineGather(cells) {}
    static constexpr uint32_t cells = 4;
    static constexpr uint32_t half = 2 * cells * chunk;  // of a stripe
};

// One that a test makes for itself.
class EngineGatherAlone : public EngineGather {
public:
    using EngineGather::a_, EngineGather::answered_, EngineGather::come, EngineGather::drain,
        EngineGather::parity, EngineGather::queue, EngineGather::settle;
    void TestBody() override {}
};

TEST_F(EngineGather, NeighboursThatMakeAStripeCostWhatAStripeCosts) {
    for (uint32_t i = 0; i < 64; i++)
        come((i * 37) % 64, (i * 29) % 64 * 8, 8);
    settle();
    auto count = drain();
    EXPECT_EQ(count[RR_ACT_READ], 0U);
    EXPECT_EQ(count[RR_ACT_COPY_IN], 64U);
    EXPECT_EQ(count[RR_ACT_WRITE], members);
    EXPECT_EQ(answered_.size(), 64U);
    EXPECT_EQ(queue()->gathered, 63U);
    EXPECT_EQ(queue()->count.full_cells, 1U);
    EXPECT_EQ(queue()->free_slots, a_->slots);
}

TEST_F(EngineGather, WhatComesMeanwhileIsTheNextOperation) {
    come(0, 0, 8);
    settle();
    const auto first = take();
    EXPECT_EQ(first.size(), 2U);
    for (uint32_t i = 1; i < 8; i++) {
        come(i, i * 8, 8);
        settle();
    }
    EXPECT_TRUE(take().empty()) << "they wait, and hold no slot";
    EXPECT_EQ(queue()->free_slots, a_->slots - 1U);
    done(first);
    auto count = drain();
    // The first one's write of two, then seven in a row: two reads less what is kept.
    EXPECT_EQ(count[RR_ACT_READ], 2U);
    EXPECT_EQ(count[RR_ACT_WRITE], 2U + 2U);
    EXPECT_EQ(answered_.size(), 8U);
}

TEST_F(EngineGather, NothingBetweenTwoBlocksIsReadOrWritten) {
    come(0, 0, 8);
    come(1, 15 * 8, 8);
    come(2, chunk + 8, 8);
    settle();
    const auto reads = take();
    EXPECT_EQ(sectors_of(reads, role(0)), 16U);
    EXPECT_EQ(sectors_of(reads, role(1)), 8U);
    EXPECT_EQ(sectors_of(reads, parity()), 24U);
    EXPECT_EQ(reads.size(), 2U + 1U + 2U) << "parity in two runs";
    done(reads);
    done(take());
    const auto writes = take();
    EXPECT_EQ(writes.size(), reads.size());
    EXPECT_EQ(sectors_of(writes, role(0)), 16U);
    EXPECT_EQ(sectors_of(writes, parity()), 24U);
    EXPECT_TRUE(answered_.empty()) << "before the last write";
    done(writes);
    take();
    EXPECT_EQ(answered_.size(), 3U);
}

TEST_F(EngineGather, TheFuaOfOneIsThatOfAll) {
    come(0, 0, 8);
    come(1, 8, 8, RR_REQ_FUA);
    settle();
    auto count = drain();
    EXPECT_EQ(count[RR_ACT_WRITE], 0U);
    EXPECT_EQ(count[RR_ACT_WRITE_FUA], 2U);
    come(2, 16, 8);
    settle();
    count = drain();
    EXPECT_EQ(count[RR_ACT_WRITE_FUA], 0U) << "and not of those after them";
}

TEST_F(EngineGather, ACopyThatFailsIsTheErrorOfOne) {
    for (uint32_t i = 0; i < 3; i++)
        come(i, i * 8, 8);
    settle();
    done(take());
    const auto copies = take();
    ASSERT_EQ(copies.size(), 3U);
    for (const rr_action& act : copies)
        rr_complete(a_.get(), queue(), act.token,
                    act.tag == 1 ? -RR_EINVAL : static_cast<rr_s32>(act.length));
    settle();
    auto count = drain();
    EXPECT_EQ(answered_[0], 8 * 512);
    EXPECT_EQ(answered_[1], -RR_EIO);
    EXPECT_EQ(answered_[2], 8 * 512);
    EXPECT_EQ(count[RR_ACT_WRITE], 4U) << "of two runs";
    EXPECT_EQ(queue()->free_slots, a_->slots);
}

TEST_F(EngineGather, WhatCannotBeReadIsTheErrorOfThoseWhoNeedIt) {
    come(0, 0, 8);
    come(1, chunk + 15 * 8, 8);
    settle();
    // Two roles that cannot be read in the row of the first: its own, and another's.
    for (int rounds = 0; rounds < 100 && answered_.size() < 2; rounds++)
        for (const rr_action& act : take()) {
            const uint64_t at = act.position / 512 - a_->members[act.role].data_offset;
            const bool bad =
                act.act == RR_ACT_READ && at < 8 && (act.role == role(0) || act.role == role(2));
            rr_complete(a_.get(), queue(), act.token,
                        bad ? -RR_EIO : static_cast<rr_s32>(act.length));
            settle();
        }
    EXPECT_EQ(answered_[0], -RR_EIO);
    EXPECT_EQ(answered_[1], 8 * 512);
}

TEST_F(EngineGather, WhoseUnitsAnotherQueueHasStaysBehind) {
    come(0, 2 * 8, 8, 0, 1);
    settle(1);
    const auto theirs = take(1);
    come(0, 0, 8);
    come(1, 8, 8);
    come(2, 3 * 8, 8);
    settle();
    // The hull of all three would have the other queue's unit: the third goes by itself.
    EXPECT_EQ(queue()->gathered, 1U);
    drain();
    EXPECT_EQ(answered_.size(), 3U);
    EXPECT_EQ(queue()->gathered, 1U);
    done(theirs, 1);
    drain(1);
}

TEST(EngineGatherRace, ParityThatFailsWhileRowsAreKeptLeavesNothingBehind) {
    // Another thread fails the parity's member before each access to a shared word in turn.
    for (uint32_t at = 0, places = 1; at < places; at++) {
        EngineGatherAlone a;
        a.come(0, 0, 24);
        a.settle();
        a.drain();
        // Two blocks of units that are kept, each of them a part of its unit.
        places = 0;
        between = [&] {
            if (places++ == at)
                rr_member_fail(a.a_.get(), a.parity(), -RR_EIO);
        };
        a.come(1, 0, 4);
        a.come(2, 16, 4);
        a.settle();
        a.drain();
        between = nullptr;
        a.a_->durable_epoch = 1;
        rr_tick(a.a_.get(), a.queue());
        a.settle();
        a.drain();
        EXPECT_EQ(a.answered_.size(), 3U) << "the member failed at access " << at;
        EXPECT_EQ(a.queue()->free_slots, a.a_->slots) << "the member failed at access " << at;
    }
}

TEST_F(EngineGather, AStreamReadsNoParityTwice) {
    // At depth 32 through the stripe: what md's stripe cache would read, and less.
    uint32_t reads = 0, next = 0;
    for (uint32_t tag = 0; tag < 32; tag++)
        come(tag, next++ * 8, 8);
    settle();
    for (std::vector<rr_action> all = take(); !all.empty(); all = take()) {
        for (const rr_action& act : all) {
            reads += act.act == RR_ACT_READ;
            rr_complete(a_.get(), queue(), act.token, static_cast<rr_s32>(act.length));
        }
        settle();
        const std::vector<rr_action> more = take();
        for (const auto& [tag, result] : answered_)
            if (next < full / 8)
                come(tag, next++ * 8, 8);
        answered_.clear();
        settle();
        for (const rr_action& act : more) {
            reads += act.act == RR_ACT_READ;
            rr_complete(a_.get(), queue(), act.token, static_cast<rr_s32>(act.length));
        }
        settle();
    }
    EXPECT_EQ(next, full / 8);
    EXPECT_LE(reads, 3U) << "two of the first rows, one of the second chunk";
}

TEST_F(EngineGatherCells, HalvesOfAStripeAreAWholeOne) {
    come(0, 0, half);
    come(1, half, half);
    settle();
    auto count = drain();
    EXPECT_EQ(count[RR_ACT_READ], 0U);
    EXPECT_EQ(count[RR_ACT_COPY_IN], 4U * cells);
    EXPECT_EQ(count[RR_ACT_WRITE], members * cells);
    EXPECT_EQ(queue()->gathered, cells);
    EXPECT_EQ(queue()->count.full_cells, cells);
    EXPECT_EQ(answered_[0], static_cast<int>(half * 512));
    EXPECT_EQ(answered_[1], static_cast<int>(half * 512));
    EXPECT_EQ(queue()->free_slots, a_->slots);
}

TEST_F(EngineGatherCells, AHalfThatComesLaterFindsTheFirstInMemory) {
    come(0, 0, half);
    settle();
    const auto first = take();
    EXPECT_EQ(first.size(), 2U * cells) << "reads of what it leaves alone";
    come(1, half, half);
    settle();
    EXPECT_TRUE(take().empty());
    EXPECT_EQ(queue()->free_slots, a_->slots - 2U * cells);
    done(first);
    auto count = drain();
    EXPECT_EQ(count[RR_ACT_READ], 0U);
    EXPECT_EQ(count[RR_ACT_WRITE], 2U * 3U * cells);
    EXPECT_EQ(answered_.size(), 2U);
    EXPECT_EQ(queue()->free_slots, a_->slots);
}

// Ends in the middle of cells, a write of one cell among them, and one of all rows.
TEST_F(EngineGatherCells, EachHasItsOwnPartOfACell) {
    come(0, 8, chunk);                          // cells 0 and 1 of chunk 0
    come(1, cells * chunk - 8, chunk + 16);     // the end of chunk 0, cells 0 and 1 of chunk 1
    come(2, 2 * cells * chunk + chunk - 8, 8);  // cell 0 of chunk 2
    settle();
    const auto reads = take();
    done(reads);
    for (const rr_action& act : take()) {
        if (act.act == RR_ACT_COPY_IN) {
            EXPECT_LE(act.position + act.length, (act.tag == 0   ? chunk
                                                  : act.tag == 1 ? chunk + 16
                                                                 : 8) *
                                                     512U);
        }
        rr_complete(a_.get(), queue(), act.token, static_cast<rr_s32>(act.length));
    }
    settle();
    std::vector<rr_action> writes = take();
    std::map<uint32_t, uint32_t> sectors;
    while (!writes.empty()) {
        for (const rr_action& act : writes)
            sectors[act.role] += act.act == RR_ACT_WRITE ? act.length / 512 : 0;
        done(writes);
        writes = take();
    }
    EXPECT_EQ(sectors[role(0)], chunk + 8);
    EXPECT_EQ(sectors[role(1)], chunk + 8);
    EXPECT_EQ(sectors[role(2)], 8U);
    EXPECT_EQ(answered_.size(), 3U);
    EXPECT_EQ(queue()->free_slots, a_->slots);
}

TEST_F(EngineGatherCells, ACopyThatFailsIsTheErrorOfOne) {
    come(0, 0, half);
    come(1, half, half);
    settle();
    bool failed = false;
    for (std::vector<rr_action> all = take(); !all.empty(); all = take()) {
        for (const rr_action& act : all) {
            const bool fails = act.act == RR_ACT_COPY_IN && act.tag == 1 && !failed;
            failed = failed || fails;
            rr_complete(a_.get(), queue(), act.token,
                        fails ? -RR_EINVAL : static_cast<rr_s32>(act.length));
        }
        settle();
    }
    EXPECT_TRUE(failed);
    EXPECT_EQ(answered_[0], static_cast<int>(half * 512));
    EXPECT_EQ(answered_[1], -RR_EIO);
    EXPECT_EQ(queue()->free_slots, a_->slots);
}

}  // namespace
}  // namespace rr
