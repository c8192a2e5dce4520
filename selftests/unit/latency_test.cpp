// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// How long requests take: the buckets against a dumb reference, which way a request
// counts for, and turns of a queue whose clock is the test's.
#include <bit>
#include <cerrno>
#include <cstdint>
#include <random>

#include "engine/redo.h"
#include "ring_in_memory.h"

namespace {

using rr::test::clock_looks;
using rr::test::clock_ns;
using rr::test::next_request;

// The first whose bound is above it, one after the other.
uint32_t bucket_by_hand(uint64_t ns) {
    for (uint32_t i = 0; i + 1 < RR_LATENCY_BUCKETS; i++) {
        if (ns < uint64_t{1024} << i)
            return i;
    }
    return RR_LATENCY_BUCKETS - 1;
}

TEST(Latency, ABucketIsTheFirstWhoseBoundIsAbove) {
    for (uint32_t bit = 0; bit < 64; bit++) {
        for (int64_t off : {-1, 0, 1}) {
            const uint64_t ns = (uint64_t{1} << bit) + static_cast<uint64_t>(off);
            EXPECT_EQ(rr_latency_bucket(ns), bucket_by_hand(ns)) << ns;
        }
    }
    std::mt19937_64 any(1);
    for (int i = 0; i < 100000; i++) {
        const uint64_t ns = any() >> (any() % 64);
        ASSERT_EQ(rr_latency_bucket(ns), bucket_by_hand(ns)) << ns;
    }
}

TEST(Latency, TheDearestCellIsTheWay) {
    auto bits = [](std::initializer_list<rr_plan> plans) {
        uint32_t out = 0;
        for (rr_plan p : plans)
            out |= 1U << p;
        return out;
    };
    EXPECT_EQ(rr_latency_way(RR_OP_READ, 0), uint32_t{RR_WAY_READ});
    EXPECT_EQ(rr_latency_way(RR_OP_READ, bits({RR_PLAN_READ})), uint32_t{RR_WAY_READ});
    EXPECT_EQ(rr_latency_way(RR_OP_READ, bits({RR_PLAN_READ, RR_PLAN_REBUILD})),
              uint32_t{RR_WAY_REBUILT});
    EXPECT_EQ(rr_latency_way(RR_OP_FLUSH, 0), uint32_t{RR_WAY_FLUSH});
    EXPECT_EQ(rr_latency_way(RR_OP_WRITE, 0), uint32_t{RR_WAY_NONE});
    EXPECT_EQ(rr_latency_way(RR_OP_WRITE, bits({RR_PLAN_FULL})), uint32_t{RR_WAY_FULL});
    EXPECT_EQ(rr_latency_way(RR_OP_WRITE, bits({RR_PLAN_FULL, RR_PLAN_RCW})), uint32_t{RR_WAY_RCW});
    EXPECT_EQ(rr_latency_way(RR_OP_WRITE, bits({RR_PLAN_FULL, RR_PLAN_RCW, RR_PLAN_RMW})),
              uint32_t{RR_WAY_RMW});
    EXPECT_EQ(rr_latency_way(RR_OP_WRITE, bits({RR_PLAN_RMW, RR_PLAN_RECON})),
              uint32_t{RR_WAY_DEGRADED});
    EXPECT_EQ(rr_latency_way(RR_OP_WRITE, bits({RR_PLAN_FULL, RR_PLAN_PAYLOAD})),
              uint32_t{RR_WAY_DEGRADED});
    EXPECT_EQ(rr_latency_way(77, bits({RR_PLAN_RMW})), uint32_t{RR_WAY_NONE});
}

// Five members, chunks of 64 KiB; a clock that the test moves.
class LatencyTurns : public ring_in_memory<io_uring_sqe> {
protected:
    LatencyTurns() : ring_in_memory(rr::test::shape(5, 128)) {
        clock_ns = 1000000;
        run();
        keep_fetches();
        array_->latency_on = 1;
        clock_looks = 0;
    }
    // A turn at @us.
    void turn(uint64_t us) {
        clock_ns = 1000000 + us * 1000;
        run();
    }
    // All that was sent is done, but what waits for clients.
    void members_answer() {
        while (!nothing_sent()) {
            io_uring_sqe sqe = sent();
            if (sqe.opcode == IORING_OP_MSG_RING)
                sqe.user_data = rr_token(RR_TOKEN_FLUSH, rr_token_role(sqe.off), 0);
            if (sqe.opcode == IORING_OP_URING_CMD)
                fetches_[reinterpret_cast<const ublksrv_io_cmd*>(sqe.cmd)->tag] = sqe;
            else
                answer(sqe, static_cast<int32_t>(sqe.len));
        }
    }
    // A request from @begin to @end, all of whose member I/O is done at @end.
    void one(uint32_t op, uint64_t sector, uint32_t sectors, uint64_t begin, uint64_t end) {
        request(0, op, sector, sectors);
        turn(begin);
        for (int i = 0; i < 6 && !nothing_sent(); i++) {
            members_answer();
            turn(end);
        }
        members_answer();
    }
    rr_latency& of(rr_way way) { return *rr_latency_at(array_.get(), 0, way); }
    uint64_t count(rr_way way) {
        uint64_t all = 0;
        for (uint64_t n : of(way).count)
            all += n;
        return all;
    }
    uint64_t count() {
        uint64_t all = 0;
        for (uint32_t way = 0; way < RR_WAYS; way++)
            all += count(static_cast<rr_way>(way));
        return all;
    }
    static constexpr uint32_t stripe = 4 * 128;
};

TEST_F(LatencyTurns, ARequestTakesFromItsTurnToThatOfItsAnswer) {
    one(UBLK_IO_OP_READ, 0, 8, 10, 110);
    EXPECT_EQ(of(RR_WAY_READ).total_ns, 100000U);
    EXPECT_EQ(of(RR_WAY_READ).count[bucket_by_hand(100000)], 1U);
    EXPECT_EQ(count(), 1U);
}

TEST_F(LatencyTurns, EachWayHasItsOwn) {
    one(UBLK_IO_OP_WRITE, 0, stripe, 0, 10);
    one(UBLK_IO_OP_WRITE, stripe, 8, 0, 20);
    one(UBLK_IO_OP_WRITE, 2 * stripe, 3 * 128, 0, 40);
    one(UBLK_IO_OP_FLUSH, 0, 0, 0, 80);
    one(UBLK_IO_OP_READ, 0, 0, 0, 0);  // refused
    one(77, 0, 8, 0, 0);
    EXPECT_EQ(of(RR_WAY_FULL).total_ns, 10000U);
    EXPECT_EQ(of(RR_WAY_RMW).total_ns, 20000U);
    EXPECT_EQ(of(RR_WAY_RCW).total_ns, 40000U);
    EXPECT_EQ(of(RR_WAY_FLUSH).total_ns, 80000U);
    EXPECT_EQ(count(RR_WAY_READ), 1U);
    EXPECT_EQ(count(RR_WAY_NONE), 1U);
    rr_member_fail(array_.get(), 0, -EIO);
    array_->durable_epoch = 1;
    one(UBLK_IO_OP_READ, 0, stripe, 0, 160);
    one(UBLK_IO_OP_WRITE, 64, 128, 0, 320);  // what is lost, in part, and what is not
    EXPECT_EQ(of(RR_WAY_REBUILT).total_ns, 160000U);
    EXPECT_EQ(of(RR_WAY_DEGRADED).total_ns, 320000U);
    EXPECT_EQ(count(), 8U);
}

// A tag's next request is not taken for what the one before it was.
TEST_F(LatencyTurns, ATagBeginsAnew) {
    one(UBLK_IO_OP_WRITE, 0, 8, 0, 10);
    one(UBLK_IO_OP_WRITE, stripe, stripe, 0, 10);
    EXPECT_EQ(count(RR_WAY_RMW), 1U);
    EXPECT_EQ(count(RR_WAY_FULL), 1U);
}

// Writes that meet at a cell are one operation (engine/gather.h), and each took its way.
TEST_F(LatencyTurns, WritesThatMeetAreTimedEach) {
    for (uint32_t tag = 0; tag < 3; tag++) {
        request(tag, UBLK_IO_OP_WRITE, uint64_t{8} * tag, 8);
        turn(0);
    }
    for (int i = 0; i < 12; i++) {
        members_answer();
        turn(10);
    }
    EXPECT_EQ(count(), 3U);
    EXPECT_EQ(count(RR_WAY_NONE), 0U);
    EXPECT_GE(count(RR_WAY_RMW), 1U);
}

TEST_F(LatencyTurns, ATurnLooksAtTheClockTwiceAtMost) {
    for (uint32_t tag = 0; tag < array_->depth; tag++) {
        next_request = {};
        next_request.op_flags = UBLK_IO_OP_FLUSH;  // nothing was written: it ends at once
        answer(fetches_[tag], 0);
    }
    turn(10);
    EXPECT_EQ(clock_looks, 2U);
    EXPECT_EQ(count(RR_WAY_FLUSH), array_->depth);
    turn(20);
    EXPECT_EQ(clock_looks, 2U);
}

TEST_F(LatencyTurns, OffItLooksAtNone) {
    array_->latency_on = 0;
    one(UBLK_IO_OP_READ, 0, 8, 10, 110);
    EXPECT_EQ(clock_looks, 0U);
    EXPECT_EQ(count(), 0U);
}

// Switched while requests are in flight: those that came while it was on count, in full.
TEST_F(LatencyTurns, ItIsSwitchedUnderLoad) {
    request(0, UBLK_IO_OP_READ, 0, 8);
    turn(10);
    array_->latency_on = 0;
    request(1, UBLK_IO_OP_READ, 128, 8);
    turn(20);
    array_->latency_on = 1;
    members_answer();
    turn(50);
    EXPECT_EQ(of(RR_WAY_READ).total_ns, 40000U);
    EXPECT_EQ(count(), 1U);
    members_answer();
    one(UBLK_IO_OP_READ, 0, 8, 60, 61);
    EXPECT_EQ(of(RR_WAY_READ).total_ns, 41000U);
}

TEST_F(LatencyTurns, AnAnswerThatGoesOutAgainCountsOnce) {
    request(0, UBLK_IO_OP_FLUSH, 0, 0);
    turn(10);
    answer(sent(), -ENOMEM);
    turn(20);
    answer(sent(), -ETIME);
    turn(30);
    EXPECT_EQ(sent().opcode, IORING_OP_URING_CMD);
    EXPECT_EQ(count(), 1U);
    EXPECT_EQ(of(RR_WAY_FLUSH).total_ns, 0U);
}

// What it waited for a program is in it.
TEST_F(LatencyTurns, AParkedRequestHasItsPause) {
    array_->park = 1;
    request(2, UBLK_IO_OP_FLUSH, 0, 0);
    turn(10);
    array_->park = 0;
    turn(5010);
    EXPECT_EQ(of(RR_WAY_FLUSH).total_ns, 5000000U);
}

TEST_F(LatencyTurns, ASuccessorGoesOnWithThem) {
    one(UBLK_IO_OP_READ, 0, 8, 10, 110);
    request(1, UBLK_IO_OP_READ, 128, 8);
    turn(200);
    rr::restart_arena({reinterpret_cast<std::byte*>(array_.get()), array_->bytes});
    EXPECT_EQ(count(RR_WAY_READ), 1U);
    EXPECT_EQ(array_->latency_on, 1U);
    EXPECT_EQ(queue()->came_at[1], 0U);
}

}  // namespace
