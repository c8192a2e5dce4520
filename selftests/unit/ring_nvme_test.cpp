// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Members behind NVMe's passthrough: the commands that a turn writes, field by
// field as <linux/nvme_ioctl.h> has them, and what the engine makes of statuses.
#include <gtest/gtest.h>
#include <liburing.h>
#include <linux/nvme_ioctl.h>
#include <linux/ublk_cmd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "engine_under_test.h"
#include "ringraid/ring.h"

namespace {

constexpr rr_ring_offsets large_offsets = {.sq_head = 0,
                                           .sq_tail = 4,
                                           .cq_head = 8,
                                           .cq_tail = 12,
                                           .cqes = 64,
                                           .bytes = 0,
                                           .sqe_shift = RR_RING_SQE_LARGE_SHIFT,
                                           .cqe_shift = RR_RING_CQE_LARGE_SHIFT};

ublksrv_io_desc next_request;

const rr_ring_offsets* rr_host_offsets() {
    return &large_offsets;
}

long rr_host_descriptor(rr_ring*, rr_u32, ublksrv_io_desc* d) {
    *d = next_request;
    return 0;
}

struct rr_host_t {};
#define rr_host_fuses() 0
int rr_host_fuse(rr_host_t*, rr_array*, rr_queue*, rr_u32) {
    return 0;
}

#define typeof __typeof__
#include "ring/step.h"
#undef typeof

constexpr uint32_t members = 4;
constexpr uint32_t lba_shift = 12;
constexpr int unrecovered_read = 0x4281;  // with "do not retry"
constexpr int internal_error = 0x006;
constexpr int not_ready = 0x082;
constexpr int do_not_retry = 0x4000;

// An SQE of 128 bytes, from 48 on the command.
struct large_sqe {
    io_uring_sqe sqe;
    std::array<uint8_t, 64> rest;

    [[nodiscard]] nvme_uring_cmd command() const {
        nvme_uring_cmd c;
        std::memcpy(&c, reinterpret_cast<const uint8_t*>(this) + 48, sizeof(c));
        return c;
    }
    [[nodiscard]] uint64_t block() const {
        return command().cdw10 | uint64_t{command().cdw11} << 32;
    }
};
static_assert(sizeof(large_sqe) == 128);

class RingNvme : public testing::Test {
protected:
    RingNvme() : array_(rr::test::shape(members, 128)) {
        ring_.zero_copy = 1;
        ring_.lba_shift = lba_shift;
        for (uint32_t role = 0; role < members; role++) {
            array_->members[role].data_offset = 2048;
            ring_.nsid[role] = 7 + role;
        }
        run();
        for (uint32_t tag = 0; tag < array_->depth; tag++)
            fetches_.push_back(sent());
    }

    int run() { return rr_step(nullptr, array_.get(), queue(), &ring_, sq_.data(), cq_.data()); }
    rr_queue* queue() { return array_.queue(); }
    uint32_t& word(uint32_t offset) { return *reinterpret_cast<uint32_t*>(cq_.data() + offset); }
    bool nothing_sent() { return word(large_offsets.sq_head) == word(large_offsets.sq_tail); }

    large_sqe sent() {
        uint32_t& head = word(large_offsets.sq_head);
        EXPECT_NE(head, word(large_offsets.sq_tail));
        return reinterpret_cast<large_sqe*>(sq_.data())[head++ % RR_RING_SQ_ENTRIES];
    }
    void answer(const large_sqe& sqe, int32_t result) {
        uint32_t& tail = word(large_offsets.cq_tail);
        auto* cqe = reinterpret_cast<io_uring_cqe*>(cq_.data() + large_offsets.cqes +
                                                    size_t{tail++ % RR_RING_CQ_ENTRIES} * 32);
        cqe->user_data = sqe.sqe.user_data;
        cqe->res = result;
    }
    void request(uint32_t op_flags, uint64_t sector, uint32_t sectors) {
        next_request = {};
        next_request.op_flags = op_flags;
        next_request.start_sector = sector;
        next_request.nr_sectors = sectors;
        answer(fetches_[0], 0);
        run();
    }
    // What the client of the tag gets.
    int32_t committed() {
        const io_uring_sqe sqe = sent().sqe;
        EXPECT_EQ(sqe.opcode, IORING_OP_URING_CMD);
        EXPECT_EQ(sqe.cmd_op, RR_UBLK_COMMIT);
        return reinterpret_cast<const ublksrv_io_cmd*>(sqe.cmd)->result;
    }
    void tick() {
        large_sqe timer = sent();
        EXPECT_EQ(timer.sqe.opcode, IORING_OP_TIMEOUT);
        answer(timer, -ETIME);
        run();
    }

    rr::test::small_array array_;
    rr_ring ring_{};
    std::vector<rr_u8> sq_ = std::vector<rr_u8>(RR_RING_SQ_ENTRIES * sizeof(large_sqe));
    std::vector<rr_u8> cq_ = std::vector<rr_u8>(64 + RR_RING_CQ_ENTRIES * size_t{32});
    std::vector<large_sqe> fetches_;
};

TEST_F(RingNvme, AReadGoesToTheClientsPages) {
    request(UBLK_IO_OP_READ, 16, 24);
    const large_sqe read = sent();
    EXPECT_EQ(read.sqe.opcode, IORING_OP_URING_CMD);
    EXPECT_EQ(read.sqe.cmd_op, NVME_URING_CMD_IO);
    EXPECT_EQ(read.sqe.uring_cmd_flags, uint32_t{IORING_URING_CMD_FIXED});
    EXPECT_EQ(read.sqe.flags, IOSQE_FIXED_FILE);
    EXPECT_EQ(read.sqe.fd, int{RR_RING_FILE_MEMBER0});
    EXPECT_EQ(read.sqe.buf_index, 0);
    const nvme_uring_cmd c = read.command();
    EXPECT_EQ(c.opcode, 0x02);
    EXPECT_EQ(c.nsid, 7U);
    EXPECT_EQ(c.addr, 0U);
    EXPECT_EQ(c.data_len, 24U * 512);
    EXPECT_EQ(read.block(), (2048U + 16) / 8);
    EXPECT_EQ(c.cdw12, 24U / 8 - 1);
    EXPECT_EQ(c.timeout_ms, 0U);
    answer(read, 0);
    run();
    EXPECT_EQ(committed(), 24 * 512);
}

TEST_F(RingNvme, AWriteThroughTheCacheSaysSo) {
    request(UBLK_IO_OP_WRITE | UBLK_IO_F_FUA, 0, 8);
    std::vector<large_sqe> reads = {sent(), sent()};  // of four members two is RMW
    for (const large_sqe& read : reads) {
        EXPECT_EQ(read.command().opcode, 0x02);
        EXPECT_EQ(read.sqe.buf_index, array_->depth);
        answer(read, 0);
    }
    run();
    const large_sqe copy = sent();  // the payload, from ublk
    EXPECT_EQ(copy.sqe.opcode, IORING_OP_READ);
    answer(copy, 4096);
    run();
    for (int i = 0; i < 2; i++) {
        const large_sqe write = sent();
        const nvme_uring_cmd c = write.command();
        EXPECT_EQ(c.opcode, 0x01);
        EXPECT_EQ(c.cdw12, 0U | 1U << 30);
        EXPECT_EQ(c.data_len, 4096U);
        EXPECT_GE(c.addr, array_->user_base + array_->buffers_offset);
        EXPECT_EQ(write.block(), 2048U / 8);
        answer(write, 0);
    }
    run();
    EXPECT_EQ(committed(), 4096);
}

TEST_F(RingNvme, AShortCopyIsNoWholeCommand) {
    request(UBLK_IO_OP_WRITE, 0, 8);
    answer(sent(), 0);
    answer(sent(), 0);
    run();
    answer(sent(), -EFAULT);
    run();
    EXPECT_EQ(committed(), -EIO);
}

TEST_F(RingNvme, ABadBlockIsReadFromItsPeersAtOnce) {
    request(UBLK_IO_OP_READ, 0, 8);
    answer(sent(), unrecovered_read);
    run();
    for (uint32_t i = 0; i + 1 < members; i++) {
        const large_sqe peer = sent();
        EXPECT_NE(peer.command().nsid, 7U);
        answer(peer, 0);
    }
    run();
    answer(sent(), 4096);  // the copy to the client
    run();
    const large_sqe repair = sent();
    EXPECT_EQ(repair.command().opcode, 0x01);
    EXPECT_EQ(repair.command().nsid, 7U);
    answer(repair, 0);
    run();
    EXPECT_EQ(committed(), 4096);
    EXPECT_EQ(array_->state & RR_STATE_MISSING, 0U);
}

TEST_F(RingNvme, WhatMayPassIsTriedAgain) {
    for (int status : {internal_error, not_ready, 0x281, 0x371, -EINTR}) {
        request(UBLK_IO_OP_READ, 0, 8);
        answer(sent(), status);
        run();
        tick();
        const large_sqe again = sent();
        EXPECT_EQ(again.command().nsid, 7U);
        answer(again, 0);
        run();
        const large_sqe commit = sent();
        fetches_[0] = commit;
        EXPECT_EQ(reinterpret_cast<const ublksrv_io_cmd*>(commit.sqe.cmd)->result, 4096) << status;
    }
}

// How often a read is issued until its peers are asked.
TEST_F(RingNvme, APathIsWaitedForLongerThanABlock) {
    auto tries = [&](int status) {
        request(UBLK_IO_OP_READ, 0, 8);
        int n = 1;
        large_sqe read = sent();
        for (; n < 2 * RR_RETRIES_MAX; n++) {
            answer(read, status);
            run();
            if (read = sent(); read.sqe.opcode != IORING_OP_TIMEOUT)
                break;
            answer(read, -ETIME);
            run();
            read = sent();
        }
        return n;
    };
    EXPECT_EQ(tries(0x281), 9);
}

TEST_F(RingNvme, ABusyPathIsWaitedForAsLongAsAMemberMayTake) {
    for (int status : {0x371, not_ready, 0x006 | 1 << 11}) {
        EXPECT_EQ(rr_nvme_error(static_cast<rr_u32>(status)), -EAGAIN) << status;
    }
    EXPECT_EQ(rr_nvme_error(0x280), 0);
    EXPECT_EQ(rr_nvme_error(0x371 | do_not_retry), -EIO);
}

TEST_F(RingNvme, AWriteThatFailsForGoodCostsTheMember) {
    request(UBLK_IO_OP_WRITE, 0, 8);
    answer(sent(), 0);
    answer(sent(), 0);
    run();
    answer(sent(), 4096);
    run();
    const large_sqe data = sent(), parity = sent();
    answer(data, internal_error | do_not_retry);
    answer(parity, 0);
    run();
    EXPECT_EQ(array_->state & RR_STATE_MISSING, 1U << (data.command().nsid - 7));
}

TEST_F(RingNvme, AFlushIsACommandAndItsErrorIsNoSuccess) {
    queue()->written[1] = 1;
    request(UBLK_IO_OP_FLUSH, 0, 0);
    const large_sqe flush = sent();
    EXPECT_EQ(flush.command().opcode, 0x00);
    EXPECT_EQ(flush.command().nsid, 8U);
    EXPECT_EQ(flush.command().data_len, 0U);
    EXPECT_EQ(flush.sqe.uring_cmd_flags, 0U);
    answer(flush, internal_error);
    run();
    EXPECT_EQ(queue()->open, 1U);
    tick();
    answer(sent(), 0);
    run();
    EXPECT_EQ(committed(), 0);
}

TEST_F(RingNvme, NothingOfAnEarlierSqeIsLeft) {
    std::fill(sq_.begin(), sq_.end(), 0xff);
    request(UBLK_IO_OP_READ, 0, 8);
    const nvme_uring_cmd c = sent().command();
    EXPECT_EQ(c.metadata, 0U);
    EXPECT_EQ(c.metadata_len, 0U);
    EXPECT_EQ(c.flags, 0);
    EXPECT_EQ(c.cdw2 | c.cdw3 | c.cdw13 | c.cdw14 | c.cdw15, 0U);
}

}  // namespace
