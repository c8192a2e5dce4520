// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What is acknowledged while a failure is being recorded.
//
// A write or a flush loses a member. The control plane then takes its steps: a
// survivor refuses its superblock or none does, and the epoch is stored to let
// the held requests go. It is another thread, so its steps are played at every
// place where the engine touches a word that they share, in all combinations:
// what was refused is never acknowledged, what was recorded is acknowledged
// afterwards and not before, and everything is answered once.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "meanwhile.h"

#include "engine_under_test.h"

namespace {

using rr::test::shape;
using rr::test::small_array;

constexpr uint32_t lost = 0, survivor = 1;  // sector 0 is on role 0

enum class step { refuse, durable };

struct outcome {
    uint32_t places = 0;  // accesses to shared words
    uint32_t answers = 0;
    int32_t result = 0;
    bool too_early = false;  // a good answer before the epoch was durable
};

// A request on an array whose member fails all that would make it durable.
class play {
public:
    explicit play(uint8_t op) : op_(op) {}

    // steps[i] happens before the access number at[i], or when all is quiet.
    outcome run(const std::vector<step>& steps, const std::vector<uint32_t>& at) {
        rr_request* r = rr_request_at(array_.get(), queue(), 0);
        *r = {};
        r->op = op_;
        r->sectors = op_ == RR_OP_FLUSH ? 0 : 8;
        queue()->written[lost] = 1;  // something to flush
        size_t next = 0;
        auto one = [&] {
            const step s = steps[next++];
            std::function<void()> mine;
            mine.swap(between);  // its own accesses are no places
            if (s == step::refuse)
                rr_member_fail(array_.get(), survivor, -RR_EIO);
            else
                array_->durable_epoch = 1;
            mine.swap(between);
        };
        between = [&] {
            // There is nothing to record before the member has failed.
            while (next < steps.size() && at[next] <= out_.places &&
                   rr_state_epoch(array_->state) == 1)
                one();
            out_.places++;
        };
        rr_request_start(array_.get(), queue(), 0);
        settle();
        between = nullptr;
        while (next < steps.size())
            one();
        rr_tick(array_.get(), queue());
        settle();
        return out_;
    }

private:
    rr_queue* queue() { return array_.queue(); }

    // Members answer at once.
    void settle() {
        rr_queue* q = queue();
        for (rr_settle(array_.get(), q); q->action_head != q->action_tail;
             rr_settle(array_.get(), q)) {
            const rr_action a = *rr_action_at(array_.get(), q, q->action_head++);
            if (a.act == RR_ACT_COMMIT) {
                out_.answers++;
                out_.result = static_cast<int32_t>(a.length);
                out_.too_early |= out_.result >= 0 && array_->durable_epoch != 1;
                continue;
            }
            const bool fails = a.role == lost && (a.act == RR_ACT_WRITE || a.act == RR_ACT_FLUSH);
            rr_complete(array_.get(), q, a.token, fails ? -RR_EIO : static_cast<int32_t>(a.length));
        }
    }

    uint8_t op_;
    outcome out_;
    small_array array_{shape(4, 128)};
};

class EnginePromise : public testing::TestWithParam<uint8_t> {
protected:
    outcome run(const std::vector<step>& steps, const std::vector<uint32_t>& at) {
        return play(GetParam()).run(steps, at);
    }
    uint32_t places() { return run({}, {}).places; }
};

TEST_P(EnginePromise, WhatNoSuperblockTellsOfIsNeverAcknowledged) {
    const uint32_t n = places();
    ASSERT_GT(n, 3U);
    for (uint32_t first = 0; first <= n; first++)
        for (uint32_t second = first; second <= n; second++) {
            const outcome o = run({step::refuse, step::durable}, {first, second});
            ASSERT_EQ(o.answers, 1U) << first << " " << second;
            ASSERT_EQ(o.result, -RR_EIO)
                << "acknowledged: the superblock was refused at access " << first
                << ", the epoch stored at " << second << " of " << o.places;
        }
}

TEST_P(EnginePromise, WhatIsRecordedIsAcknowledgedAfterwards) {
    const uint32_t n = places();
    for (uint32_t at = 0; at <= n; at++) {
        const outcome o = run({step::durable}, {at});
        ASSERT_EQ(o.answers, 1U) << at;
        ASSERT_GE(o.result, 0) << at;
        ASSERT_FALSE(o.too_early) << at;
    }
}

INSTANTIATE_TEST_SUITE_P(All, EnginePromise, testing::Values(RR_OP_WRITE, RR_OP_FLUSH));

}  // namespace
