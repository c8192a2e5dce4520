// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The limits that can be set while the engine runs, at the most that their keys
// allow (bpf/raid5_keys.bpf.h): every count ends, every field holds its value.
#include "ringraid/abi.h"

#define rr_retries_max() RR_RETRIES_LIMIT
#define rr_tick_ms() 1000  // of tick_ms

#include "ring_in_memory.h"

namespace {

class EngineLimits : public ring_in_memory<io_uring_sqe> {
protected:
    EngineLimits() : ring_in_memory(rr::test::shape(4, 128)) {}

    rr_request* start(uint8_t op) {
        rr_request* r = rr_request_at(array_.get(), queue(), 0);
        *r = {};
        r->op = op;
        r->sectors = 8;
        rr_request_start(array_.get(), queue(), 0);
        rr_settle(array_.get(), queue());
        return r;
    }
    rr_action action() { return *rr_action_at(array_.get(), queue(), queue()->action_head++); }

    // How often an I/O is tried that always ends in `result`.
    uint32_t tries(const rr_action& a, int32_t result) {
        uint32_t n = 0;
        while (n < 4 * RR_RETRIES_LIMIT) {
            n++;
            rr_complete(array_.get(), queue(), a.token, result);
            if (!queue()->retry_count)
                break;
            rr_tick(array_.get(), queue());
            const rr_action again = action();
            EXPECT_EQ(again.token, a.token);
        }
        return n;
    }
};

TEST_F(EngineLimits, PatienceEnds) {
    for (int32_t result : {-EAGAIN, 0}) {
        rr_request* r = start(RR_OP_READ);
        const rr_action direct = action();
        ASSERT_EQ(direct.act, RR_ACT_READ_DIRECT);
        EXPECT_EQ(tries(direct, result), result ? RR_RETRIES_LIMIT + 1U : 8U + 1) << result;
        EXPECT_GE(r->retries, RR_RETRIES_LIMIT);
        queue()->action_head = queue()->action_tail;
    }
}

TEST_F(EngineLimits, TheLastTryMayBeTheDearest) {
    rr_request* r = start(RR_OP_READ);
    const rr_action direct = action();
    r->retries = RR_RETRIES_LIMIT - 1;
    EXPECT_EQ(tries(direct, 0), 2U);
    EXPECT_GE(r->retries, RR_RETRIES_LIMIT);

    start(RR_OP_WRITE);
    rr_action read = action();
    while (read.act != RR_ACT_READ)
        read = action();
    queue()->action_head = queue()->action_tail;
    rr_slot* s = rr_slot_at(array_.get(), queue(), rr_token_index(read.token));
    s->retries = RR_RETRIES_LIMIT - 1;
    EXPECT_EQ(tries(read, 0), 2U);
    EXPECT_GE(s->retries, RR_RETRIES_LIMIT);
}

TEST_F(EngineLimits, TheLongestTickIsAProperTime) {
    queue()->tick_wanted = 1;
    run();
    while (!queue()->timer_armed)
        run();
    EXPECT_EQ(queue()->timer_ns[0], 1U);
    EXPECT_LT(queue()->timer_ns[1], 1000000000U);
}

}  // namespace
