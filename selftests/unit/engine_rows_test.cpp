// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Reads of a degraded array that take parts of a stripe: what a stream costs, and what
// becomes of one that waits while members go and come.
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "engine_under_test.h"

namespace rr {
namespace {

using test::small_array;

constexpr uint32_t members = 5;
constexpr uint32_t chunk = 32;
constexpr uint32_t full = chunk * (members - 1);

class EngineRows : public testing::TestWithParam<uint32_t> {
protected:
    EngineRows() : a_(config(), 1U << 1) {}
    static array_config config() {
        array_config c = test::shape(members, chunk);
        c.queues = 2;
        c.depth = 8;
        c.slots = 32;
        c.member_io_sectors = 16;  // two cells a chunk
        return c;
    }

    void begin(uint32_t sector, uint32_t sectors, uint32_t op, uint32_t tag, uint32_t queue = 0) {
        rr_request* r = rr_request_at(a_.get(), a_.queue(queue), tag);
        *r = {};
        r->sector = sector;
        r->sectors = sectors;
        r->op = static_cast<rr_u8>(op);
        rr_request_start(a_.get(), a_.queue(queue), tag);
        rr_settle(a_.get(), a_.queue(queue));
    }
    // One action of the queue; false: there is none.
    bool step(uint32_t queue = 0) {
        rr_queue* q = a_.queue(queue);
        if (q->action_head == q->action_tail)
            return false;
        const rr_action act = *rr_action_at(a_.get(), q, q->action_head++);
        if (act.act == RR_ACT_COMMIT) {
            answers_.push_back(static_cast<rr_s32>(act.length));
            return true;
        }
        if (act.act == RR_ACT_READ || act.act == RR_ACT_READ_DIRECT) {
            if (rr_request_at(a_.get(), q, act.tag)->op == RR_OP_READ) {
                EXPECT_FALSE(a_->state >> act.role & 1) << "role " << uint32_t{act.role};
            }
            for (uint32_t i = 0; i < act.length / 512; i++)
                reads_[{act.role, act.position / 512 + i}]++;
        }
        const bool fails = act.tag == 1 && act.act == RR_ACT_READ && act.role == failing_;
        rr_complete(a_.get(), q, act.token, fails ? -RR_EREMOTEIO : RR_RESULT_WHOLE);
        rr_settle(a_.get(), q);
        return true;
    }
    void drain() {
        for (bool some = true; some;) {
            some = false;
            for (uint32_t q = 0; q < 2; q++)
                while (step(q))
                    some = true;
            for (uint32_t q = 0; q < 2; q++)
                if (a_.queue(1 - q)->wake_mask >> q & 1) {
                    a_.queue(1 - q)->wake_mask = 0;
                    rr_message(a_.get(), a_.queue(q));
                    rr_settle(a_.get(), a_.queue(q));
                    some = true;
                }
        }
    }
    // Reads @stripes of them from one on, so many requests of @sectors at a time.
    void stream(uint32_t sectors, uint32_t at_once, uint32_t stripes) {
        uint32_t sector = full;
        uint32_t n = 0;
        while (sector < (1 + stripes) * full) {
            for (uint32_t i = 0; i < at_once; i++, n++)
                begin(sector + (reversed_ ? at_once - 1 - i : i) * sectors, sectors, RR_OP_READ, i,
                      n % 2 * two_);
            sector += at_once * sectors;
            drain();
        }
        for (rr_s32 answer : answers_)
            EXPECT_EQ(answer, static_cast<rr_s32>(sectors * 512));
        EXPECT_EQ(answers_.size(), n);
    }
    uint64_t sectors_read() const {
        uint64_t sum = 0;
        for (const auto& [where, times] : reads_)
            sum += times;
        return sum;
    }
    small_array a_;
    std::vector<rr_s32> answers_;
    std::map<std::pair<uint32_t, uint64_t>, uint32_t> reads_;
    uint32_t failing_ = members;  // reads of this role for tag 1
    uint32_t two_ = 0;            // queues have a turn each
    bool reversed_ = false;       // the last of those at once comes first
};

TEST_P(EngineRows, AStreamReadsEachBlockOnce) {
    for (uint32_t sectors : {chunk / 2, chunk / 4, chunk, 2U}) {
        for (uint32_t how = 0; how < 4; how++) {
            two_ = how & 1;
            reversed_ = how >> 1 != 0;
            a_ = small_array(config(), 1U << 1);
            answers_.clear();
            reads_.clear();
            stream(sectors, GetParam(), 10);
            // The first is no stream yet, and of those turned round none that comes first is.
            const uint32_t turned = reversed_ && GetParam() > 1 ? 10 * full / sectors : 0;
            const uint32_t alone = turned != 0 ? turned / GetParam() : 1;
            EXPECT_LE(sectors_read(), 10 * full + alone * sectors) << sectors << ", " << how;
            EXPECT_GE(sectors_read(), 10 * full);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(AtOnce, EngineRows, testing::Values(1U, 2U, 4U));

class EngineRowsWait : public EngineRows {};

TEST_F(EngineRowsWait, WhoIsAloneReadsDirectly) {
    begin(full, 8, RR_OP_READ, 0);
    drain();
    begin(3 * full + 4, 8, RR_OP_READ, 0);
    drain();
    EXPECT_EQ(a_.queue()->count.slot_reads, 0U);
}

TEST_F(EngineRowsWait, WhatIsWrittenIsReadAgain) {
    const uint32_t parity = rr_parity_member(&a_->geometry, 1);
    uint32_t there = 0;
    while (rr_data_member(&a_->geometry, parity, there) == 1)
        there++;
    const uint32_t at = full + there * chunk;
    begin(at - 4, 4, RR_OP_READ, 0);
    drain();
    begin(at, 4, RR_OP_READ, 0);
    drain();
    reads_.clear();
    begin(at, 4, RR_OP_READ, 0);
    drain();
    EXPECT_EQ(sectors_read(), 0U);
    begin(at, 4, RR_OP_WRITE, 0, 1);
    drain();
    reads_.clear();
    begin(at, 4, RR_OP_READ, 0);
    drain();
    EXPECT_EQ(sectors_read(), 4U);
}

// A write holds the rows that a read of the missing member wants. That comes back, and
// another fails: what is wanted is there.
class EngineRowsChange : public EngineRows {
protected:
    void wait() {
        const uint32_t parity = rr_parity_member(&a_->geometry, 2);
        const uint32_t index = rr_data_index(&a_->geometry, parity, 1);
        begin(2 * full + index * chunk, 2, RR_OP_WRITE, 0);
        begin(2 * full + index * chunk, 2, RR_OP_READ, 1);
        ASSERT_NE(a_.queue()->lock_wait.head, RR_NIL);
        other_ = rr_data_member(&a_->geometry, parity, (index + 1) % (members - 1));
    }
    // What rebuilds and the control plane do.
    void change() {
        a_->state = (a_->state & ~RR_STATE_MISSING) + (1ULL << RR_STATE_EPOCH_SHIFT);
        rr_member_fail(a_.get(), other_, -RR_EIO);
        a_->durable_epoch = rr_state_epoch(a_->state);
        reads_.clear();
        drain();
        ASSERT_EQ(answers_.size(), 2U);
    }
    uint32_t other_ = 0;
};

TEST_F(EngineRowsChange, WhatIsThereAgainIsRead) {
    wait();
    change();
    EXPECT_EQ(answers_[1], 2 * 512);
}

TEST_F(EngineRowsChange, WhatCannotBeReadIsLost) {
    wait();
    failing_ = 1;
    change();
    EXPECT_EQ(answers_[1], -RR_EIO);
    EXPECT_EQ(a_.queue()->open, 0U);
}

}  // namespace
}  // namespace rr
