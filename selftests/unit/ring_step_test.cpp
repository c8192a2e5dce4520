// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A turn of a queue on a ring in plain memory: what it does when io_uring
// refuses a command for want of memory, when a queue is parked, and when a turn
// is the last one.
#include <cerrno>
#include <cstdint>

#include "ring_in_memory.h"

namespace {

using rr::test::next_request;

struct command {
    uint32_t cmd_op;
    uint16_t tag;
    int32_t result;
    bool operator==(const command&) const = default;
};

class RingStep : public ring_in_memory<io_uring_sqe> {
protected:
    RingStep() : ring_in_memory(rr::test::shape(4, 128)) { run(); }

    io_uring_sqe take(int32_t result) {
        io_uring_sqe sqe = sent();
        answer(sqe, result);
        return sqe;
    }

    static command as_command(const io_uring_sqe& sqe) {
        EXPECT_EQ(sqe.opcode, IORING_OP_URING_CMD);
        const auto* c = reinterpret_cast<const ublksrv_io_cmd*>(sqe.cmd);
        return {sqe.cmd_op, c->tag, c->result};
    }
};

TEST_F(RingStep, AFetchWithoutMemoryIsRepeatedAfterATick) {
    for (uint16_t tag = 0; tag < array_->depth; tag++)
        EXPECT_EQ(as_command(take(tag == 2 ? -ENOMEM : -ENODEV)), (command{RR_UBLK_FETCH, tag, 0}));
    EXPECT_EQ(run(), RR_STEP_WAIT);  // tag 2 is still wanted
    EXPECT_EQ(take(-ETIME).opcode, IORING_OP_TIMEOUT);
    EXPECT_EQ(run(), RR_STEP_WAIT);
    EXPECT_EQ(as_command(take(-ENODEV)), (command{RR_UBLK_FETCH, 2, 0}));
    EXPECT_EQ(run(), RR_STEP_STOP);
    EXPECT_EQ(queue()->last_error, 0);
}

TEST_F(RingStep, AnAnswerWithoutMemoryIsRepeatedWithItsResult) {
    next_request = {};
    next_request.op_flags = UBLK_IO_OP_FLUSH;  // nothing was written: it ends at once
    for (uint16_t tag = 0; tag < array_->depth; tag++)
        take(tag == 1 ? 0 : -ENODEV);
    run();
    EXPECT_EQ(as_command(take(-ENOMEM)), (command{RR_UBLK_COMMIT, 1, 0}));

    EXPECT_EQ(run(), RR_STEP_WAIT);
    take(-ETIME);
    run();
    EXPECT_EQ(as_command(take(0)), (command{RR_UBLK_COMMIT, 1, 0}));

    next_request.op_flags = UBLK_IO_OP_READ;  // behind the end: refused, with an error to keep
    next_request.start_sector = array_->array_sectors;
    next_request.nr_sectors = 8;
    run();
    EXPECT_EQ(as_command(take(-ENOMEM)), (command{RR_UBLK_COMMIT, 1, -EIO}));
    run();
    take(-ETIME);
    run();
    EXPECT_EQ(as_command(take(-ENODEV)), (command{RR_UBLK_COMMIT, 1, -EIO}));
    EXPECT_EQ(run(), RR_STEP_STOP);
}

// --- Flushes are the flusher's.

class RingFlush : public RingStep {
protected:
    RingFlush() {
        ring_.flusher_fd = 99;
        queue()->written[2] = 1;
        next_request = {};
        next_request.op_flags = UBLK_IO_OP_FLUSH;
        for (uint32_t tag = 0; tag < array_->depth; tag++) {
            if (const io_uring_sqe fetch = sent(); tag == 0)
                answer(fetch, 0);
        }
        run();
    }
    // What the flusher sends: the token, and its result.
    void flushed(int32_t result) {
        io_uring_sqe message{};
        message.user_data = rr_token(RR_TOKEN_FLUSH, 2, 0);
        answer(message, result);
        run();
    }
    void expect_ask() {
        ask_ = sent();
        EXPECT_EQ(ask_.opcode, IORING_OP_MSG_RING);
        EXPECT_EQ(ask_.fd, 99);
        EXPECT_EQ(ask_.flags, IOSQE_CQE_SKIP_SUCCESS);
        EXPECT_EQ(ask_.off, rr_token(RR_TOKEN_FLUSH, 2, queue()->id));
        EXPECT_EQ(queue()->inflight, array_->depth);
    }
    io_uring_sqe ask_{};
};

TEST_F(RingFlush, TheAnswerIsTheCompletionOfTheAsk) {
    expect_ask();
    EXPECT_TRUE(nothing_sent());
    flushed(0);
    EXPECT_EQ(as_command(sent()), (command{RR_UBLK_COMMIT, 0, 0}));
    EXPECT_EQ(queue()->inflight, array_->depth);
    EXPECT_EQ(array_->members[2].flushed[0], 1U);
}

TEST_F(RingFlush, AnAskThatIsLostIsRepeatedForEver) {
    for (uint32_t i = 0; i < 3 * RR_RETRIES_MAX; i++) {
        expect_ask();
        answer(ask_, -ENOMEM);
        EXPECT_EQ(run(), RR_STEP_WAIT);
        EXPECT_EQ(take(-ETIME).opcode, IORING_OP_TIMEOUT);
        run();
    }
    EXPECT_EQ(array_->state & RR_STATE_MISSING, 0U);
    expect_ask();
    flushed(0);
    EXPECT_EQ(as_command(sent()), (command{RR_UBLK_COMMIT, 0, 0}));
}

TEST_F(RingFlush, OneThatFailsCostsTheMember) {
    expect_ask();
    flushed(-EIO);
    EXPECT_EQ(array_->state & RR_STATE_MISSING, 1U << 2);
}

TEST_F(RingFlush, AQueueThatWaitsForOneHasNotParked) {
    expect_ask();
    array_->park = 1;
    EXPECT_EQ(run(), RR_STEP_WAIT);
    flushed(0);
    EXPECT_EQ(queue()->stop_reason, uint32_t{RR_STOP_PARKED});
}

// --- Parking.

class RingPark : public RingStep {
protected:
    RingPark() { keep_fetches(); }
    void request(uint32_t tag, uint64_t sector) {
        ring_in_memory::request(tag, UBLK_IO_OP_READ, sector, 8);
    }
};

TEST_F(RingPark, WhatIsInFlightEndsAndWhatComesIsKept) {
    request(0, 0);
    EXPECT_EQ(run(), RR_STEP_WAIT);
    io_uring_sqe read = sent();
    EXPECT_EQ(read.opcode, IORING_OP_READ_FIXED);

    array_->park = 1;
    EXPECT_EQ(run(), RR_STEP_WAIT);
    request(1, 8);
    EXPECT_EQ(run(), RR_STEP_WAIT);
    EXPECT_TRUE(nothing_sent());
    answer(read, 4096);
    EXPECT_EQ(run(), RR_STEP_STOP);
    EXPECT_EQ(queue()->stop_reason, uint32_t{RR_STOP_PARKED});
    EXPECT_EQ(as_command(sent()), (command{RR_UBLK_COMMIT, 0, 4096}));
    request(2, 16);  // while the queue is out of its program
    EXPECT_TRUE(nothing_sent());

    array_->park = 0;
    EXPECT_EQ(run(), RR_STEP_WAIT);
    EXPECT_EQ(sent().buf_index, 1);
    EXPECT_EQ(sent().buf_index, 2);
    EXPECT_TRUE(nothing_sent());
}

TEST_F(RingPark, WhoWaitsForRowsOfAReadThatIsFusedIsWokenBeforeTheQueueSleeps) {
    array_->state =
        1U << rr_data_member(&array_->geometry, rr_parity_member(&array_->geometry, 0), 0);
    queue()->fused = 1;
    ring_.ring_fd[1] = 77;
    request(0, 0);
    run();
    for (uint32_t peer = 1; peer < array_->geometry.members; peer++)
        take(4096);
    rr_lock_at(array_.get(), rr_lock_index(0))->waiting[1] = 1;
    EXPECT_EQ(run(), RR_STEP_AGAIN);
    EXPECT_EQ(as_command(sent()), (command{RR_UBLK_COMMIT, 0, 4096}));
    EXPECT_EQ(run(), RR_STEP_WAIT);
    const io_uring_sqe wake = sent();
    EXPECT_EQ(wake.opcode, IORING_OP_MSG_RING);
    EXPECT_EQ(wake.fd, 77);
}

TEST_F(RingPark, ATimerBelongsToTheRing) {
    queue()->tick_wanted = 1;
    run();
    io_uring_sqe timer = sent();
    EXPECT_EQ(timer.opcode, IORING_OP_TIMEOUT);
    array_->park = 1;
    EXPECT_EQ(run(), RR_STEP_STOP);
    array_->park = 0;
    answer(timer, -ETIME);
    EXPECT_EQ(run(), RR_STEP_WAIT);
    EXPECT_EQ(queue()->inflight, array_->depth);
}

TEST_F(RingPark, ARetryIsNotLeftToTheNextProgram) {
    request(0, 0);
    run();
    answer(sent(), -EAGAIN);
    run();
    io_uring_sqe timer = sent();
    array_->park = 1;
    EXPECT_EQ(run(), RR_STEP_WAIT);
    answer(timer, -ETIME);
    EXPECT_EQ(run(), RR_STEP_WAIT);
    answer(sent(), 4096);
    EXPECT_EQ(run(), RR_STEP_STOP);
}

TEST_F(RingPark, ADeviceThatIsGoneEndsAParkedQueue) {
    array_->park = 1;
    EXPECT_EQ(run(), RR_STEP_STOP);
    for (const io_uring_sqe& fetch : fetches_)
        answer(fetch, -ENODEV);
    array_->park = 0;
    EXPECT_EQ(run(), RR_STEP_STOP);
    EXPECT_EQ(queue()->stop_reason, uint32_t{RR_STOP_ENDED});
}

TEST_F(RingStep, AnyOtherErrorOfAFetchIsKept) {
    for (uint16_t tag = 0; tag < array_->depth; tag++)
        take(tag == 3 ? -EINVAL : -ENODEV);
    EXPECT_EQ(run(), RR_STEP_STOP);
    EXPECT_EQ(queue()->last_error, -EINVAL);
}

// --- So are zeros.

class RingZero : public RingStep {
protected:
    RingZero() {
        ring_.flusher_fd = 99;
        next_request = {};
        next_request.op_flags = UBLK_IO_OP_WRITE_ZEROES | UBLK_IO_F_NOUNMAP | UBLK_IO_F_FUA;
        next_request.nr_sectors = 3 * 128;
        for (uint32_t tag = 0; tag < array_->depth; tag++) {
            if (const io_uring_sqe fetch = sent(); tag == 0)
                answer(fetch, 0);
        }
        run();
    }
    // The oldest ask: of the member @role's part of stripe 0.
    io_uring_sqe expect_ask(uint32_t role) {
        io_uring_sqe ask = sent();
        const uint64_t token = rr_token_extent(rr_token(RR_TOKEN_ZERO, role, 0), 0, 128);
        EXPECT_EQ(ask.opcode, IORING_OP_MSG_RING);
        EXPECT_EQ(ask.fd, 99);
        EXPECT_EQ(ask.flags, IOSQE_CQE_SKIP_SUCCESS);
        EXPECT_EQ(ask.off, token | uint64_t{queue()->id} << (16 + RR_SLOT_BITS));
        EXPECT_EQ(ask.user_data, token);
        EXPECT_EQ(ask.len, RR_ZERO_DURABLE | RR_ZERO_MAPPED);
        return ask;
    }
    void zeroed(uint32_t role, int32_t result) {
        io_uring_sqe message{};
        message.user_data = rr_token_extent(rr_token(RR_TOKEN_SLOT, role, 0), 0, 128);
        answer(message, result);
    }
};

TEST_F(RingZero, TheAnswersAreTheCompletionsOfTheAsks) {
    for (uint32_t role = 0; role < 4; role++)
        expect_ask(role);
    EXPECT_TRUE(nothing_sent());
    for (uint32_t role = 0; role < 4; role++)
        zeroed(role, 65536);
    run();
    EXPECT_EQ(as_command(take(-ENODEV)), (command{RR_UBLK_COMMIT, 0, 0}));
    EXPECT_EQ(queue()->inflight, array_->depth);
}

TEST_F(RingZero, AnAskThatIsLostIsRepeatedAfterATickHoweverOften) {
    for (uint32_t role = 0; role < 4; role++) {
        const io_uring_sqe ask = expect_ask(role);
        if (role == 2)
            answer(ask, -EOVERFLOW);
        else
            zeroed(role, 65536);
    }
    run();
    for (uint32_t i = 0; i < 3; i++) {
        take(-ETIME);
        run();
        answer(expect_ask(2), -EOVERFLOW);
        run();
    }
    take(-ETIME);
    run();
    expect_ask(2);
    zeroed(2, 65536);
    run();
    EXPECT_EQ(as_command(take(-ENODEV)), (command{RR_UBLK_COMMIT, 0, 0}));
    EXPECT_EQ(array_->state, 0U);
}

}  // namespace
