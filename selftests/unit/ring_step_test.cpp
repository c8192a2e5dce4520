// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A turn of a queue on a ring in plain memory: what it does when io_uring
// refuses a command for want of memory, and when a turn is the last one.
#include <gtest/gtest.h>
#include <liburing.h>
#include <linux/ublk_cmd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <vector>

#include "engine_under_test.h"
#include "ringraid/ring.h"

namespace {

// The ring's words first, the CQEs behind them.
constexpr rr_ring_offsets offsets_in_memory = {
    .sq_head = 0, .sq_tail = 4, .cq_head = 8, .cq_tail = 12, .cqes = 64, .bytes = 0};

ublksrv_io_desc next_request;

const rr_ring_offsets* rr_host_offsets() {
    return &offsets_in_memory;
}

long rr_host_descriptor(rr_ring*, rr_u32, ublksrv_io_desc* d) {
    *d = next_request;
    return 0;
}

#define typeof __typeof__
#include "ring/step.h"
#undef typeof

struct command {
    uint32_t cmd_op;
    uint16_t tag;
    int32_t result;
    bool operator==(const command&) const = default;
};

class RingStep : public testing::Test {
protected:
    RingStep() : array_(rr::test::shape(4, 128)) { run(); }

    int run() { return rr_step(array_.get(), queue(), &ring_, sq_.data(), cq_.data()); }
    rr_queue* queue() { return array_.queue(); }
    uint32_t& word(uint32_t offset) { return *reinterpret_cast<uint32_t*>(cq_.data() + offset); }

    // Takes the oldest SQE, and answers it.
    io_uring_sqe take(int32_t result) {
        uint32_t& head = word(offsets_in_memory.sq_head);
        uint32_t& tail = word(offsets_in_memory.cq_tail);
        EXPECT_NE(head, word(offsets_in_memory.sq_tail));
        const auto* sqe = reinterpret_cast<io_uring_sqe*>(sq_.data()) + head++ % RR_RING_SQ_ENTRIES;
        auto* cqe = reinterpret_cast<io_uring_cqe*>(cq_.data() + offsets_in_memory.cqes) +
                    tail++ % RR_RING_CQ_ENTRIES;
        cqe->user_data = sqe->user_data;
        cqe->res = result;
        return *sqe;
    }

    static command as_command(const io_uring_sqe& sqe) {
        EXPECT_EQ(sqe.opcode, IORING_OP_URING_CMD);
        const auto* c = reinterpret_cast<const ublksrv_io_cmd*>(sqe.cmd);
        return {sqe.cmd_op, c->tag, c->result};
    }

    rr::test::small_array array_;
    rr_ring ring_{};
    std::vector<rr_u8> sq_ = std::vector<rr_u8>(RR_RING_SQ_ENTRIES * sizeof(io_uring_sqe));
    std::vector<rr_u8> cq_ = std::vector<rr_u8>(64 + RR_RING_CQ_ENTRIES * sizeof(io_uring_cqe));
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

TEST_F(RingStep, AnyOtherErrorOfAFetchIsKept) {
    for (uint16_t tag = 0; tag < array_->depth; tag++)
        take(tag == 3 ? -EINVAL : -ENODEV);
    EXPECT_EQ(run(), RR_STEP_STOP);
    EXPECT_EQ(queue()->last_error, -EINVAL);
}

}  // namespace
