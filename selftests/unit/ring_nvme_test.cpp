// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Members behind NVMe's passthrough: the commands that a turn writes, field by
// field as <linux/nvme_ioctl.h> has them, and what the engine makes of statuses.
#include <linux/nvme_ioctl.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>

#include "ring_in_memory.h"

namespace {

using rr::test::large_sqe;

constexpr uint32_t members = 4;
constexpr uint32_t lba_shift = 12;
constexpr int unrecovered_read = 0x4281;  // with "do not retry"
constexpr int internal_error = 0x006;
constexpr int not_ready = 0x082;
constexpr int do_not_retry = 0x4000;

// From byte 48 of its SQE on.
nvme_uring_cmd command_of(const large_sqe& sqe) {
    nvme_uring_cmd c;
    std::memcpy(&c, reinterpret_cast<const std::byte*>(&sqe) + 48, sizeof(c));
    return c;
}

uint64_t block_of(const large_sqe& sqe) {
    const nvme_uring_cmd c = command_of(sqe);
    return c.cdw10 | uint64_t{c.cdw11} << 32;
}

class RingNvme : public ring_in_memory<large_sqe> {
protected:
    RingNvme() : ring_in_memory(rr::test::shape(members, 128)) {
        ring_.zero_copy = 1;
        ring_.lba_shift = lba_shift;
        for (uint32_t role = 0; role < members; role++) {
            array_->members[role].data_offset = 2048;
            ring_.nsid[role] = 7 + role;
        }
        run();
        keep_fetches();
    }

    void request(uint32_t op_flags, uint64_t sector, uint32_t sectors) {
        ring_in_memory::request(0, op_flags, sector, sectors);
        run();
    }
    // What the client of the tag gets.
    int32_t committed() {
        const io_uring_sqe sqe = sent();
        EXPECT_EQ(sqe.opcode, IORING_OP_URING_CMD);
        EXPECT_EQ(sqe.cmd_op, RR_UBLK_COMMIT);
        return reinterpret_cast<const ublksrv_io_cmd*>(sqe.cmd)->result;
    }
    void tick() {
        large_sqe timer = sent();
        EXPECT_EQ(timer.opcode, IORING_OP_TIMEOUT);
        answer(timer, -ETIME);
        run();
    }
};

TEST_F(RingNvme, AReadGoesToTheClientsPages) {
    request(UBLK_IO_OP_READ, 16, 24);
    const large_sqe read = sent();
    EXPECT_EQ(read.opcode, IORING_OP_URING_CMD);
    EXPECT_EQ(read.cmd_op, NVME_URING_CMD_IO);
    EXPECT_EQ(read.uring_cmd_flags, uint32_t{IORING_URING_CMD_FIXED});
    EXPECT_EQ(read.flags, IOSQE_FIXED_FILE);
    EXPECT_EQ(read.fd, int{RR_RING_FILE_MEMBER0});
    EXPECT_EQ(read.buf_index, 0);
    const nvme_uring_cmd c = command_of(read);
    EXPECT_EQ(c.opcode, 0x02);
    EXPECT_EQ(c.nsid, 7U);
    EXPECT_EQ(c.addr, 0U);
    EXPECT_EQ(c.data_len, 24U * 512);
    EXPECT_EQ(block_of(read), (2048U + 16) / 8);
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
        EXPECT_EQ(command_of(read).opcode, 0x02);
        EXPECT_EQ(read.buf_index, array_->depth);
        answer(read, 0);
    }
    run();
    const large_sqe copy = sent();  // the payload, from ublk
    EXPECT_EQ(copy.opcode, IORING_OP_READ);
    answer(copy, 4096);
    run();
    for (int i = 0; i < 2; i++) {
        const large_sqe write = sent();
        const nvme_uring_cmd c = command_of(write);
        EXPECT_EQ(c.opcode, 0x01);
        EXPECT_EQ(c.cdw12, 0U | 1U << 30);
        EXPECT_EQ(c.data_len, 4096U);
        EXPECT_GE(c.addr, array_->user_base + array_->buffers_offset);
        EXPECT_EQ(block_of(write), 2048U / 8);
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
        EXPECT_NE(command_of(peer).nsid, 7U);
        answer(peer, 0);
    }
    run();
    answer(sent(), 4096);  // the copy to the client
    run();
    const large_sqe repair = sent();
    EXPECT_EQ(command_of(repair).opcode, 0x01);
    EXPECT_EQ(command_of(repair).nsid, 7U);
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
        EXPECT_EQ(command_of(again).nsid, 7U);
        answer(again, 0);
        run();
        const large_sqe commit = sent();
        fetches_[0] = commit;
        EXPECT_EQ(reinterpret_cast<const ublksrv_io_cmd*>(commit.cmd)->result, 4096) << status;
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
            if (read = sent(); read.opcode != IORING_OP_TIMEOUT)
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
    EXPECT_EQ(array_->state & RR_STATE_MISSING, 1U << (command_of(data).nsid - 7));
}

TEST_F(RingNvme, AFlushIsAskedForAndItsErrorIsNoStatus) {
    queue()->written[1] = 1;
    request(UBLK_IO_OP_FLUSH, 0, 0);
    large_sqe ask = sent();
    EXPECT_EQ(ask.opcode, IORING_OP_MSG_RING);
    // The flusher's answer.
    ask.user_data = rr_token(RR_TOKEN_FLUSH, 1, 0);
    answer(ask, -EAGAIN);
    run();
    EXPECT_EQ(queue()->open, 1U);
    tick();
    answer(ask, 0);
    sent();
    run();
    EXPECT_EQ(committed(), 0);
}

TEST_F(RingNvme, NothingOfAnEarlierSqeIsLeft) {
    std::fill(sq_.begin(), sq_.end(), 0xff);
    request(UBLK_IO_OP_READ, 0, 8);
    const nvme_uring_cmd c = command_of(sent());
    EXPECT_EQ(c.metadata, 0U);
    EXPECT_EQ(c.metadata_len, 0U);
    EXPECT_EQ(c.flags, 0);
    EXPECT_EQ(c.cdw2 | c.cdw3 | c.cdw13 | c.cdw14 | c.cdw15, 0U);
}

}  // namespace
