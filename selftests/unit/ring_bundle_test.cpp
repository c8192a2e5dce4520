// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Member I/Os that are neighbours, on a ring in plain memory: what becomes one, what does
// not, and what each of them comes to.
#include <sys/uio.h>

#include <cerrno>
#include <cstdint>
#include <map>

#include "ring_in_memory.h"

namespace {

constexpr uint32_t members = 4, cell = 128, cells = 4, chunk = cells * cell;
constexpr uint32_t longest = 2;  // cells, that a member takes in one I/O

rr::array_config config() {
    rr::array_config c = rr::test::shape(members, chunk);
    c.slots = 4 * cells;
    c.member_io_sectors = longest * cell;
    return c;
}

template <typename Sqe>
class bundles : public ring_in_memory<Sqe> {
protected:
    using base = ring_in_memory<Sqe>;
    using base::answer, base::array_, base::keep_fetches, base::nothing_sent, base::queue,
        base::request, base::run, base::sent;

    bundles() : base(config()) {
        array_->user_base = reinterpret_cast<uint64_t>(array_.get());
        run();
        keep_fetches();
    }

    void write(uint32_t tag, uint64_t sector, uint32_t sectors) {
        request(tag, UBLK_IO_OP_WRITE, sector, sectors);
        run();
    }
    std::vector<Sqe> all() {
        std::vector<Sqe> out;
        while (!nothing_sent())
            out.push_back(sent());
        return out;
    }
    // The copies of what was written are made.
    void copied() {
        for (const Sqe& sqe : all()) {
            EXPECT_EQ(sqe.opcode, IORING_OP_READ);
            answer(sqe, static_cast<int32_t>(sqe.len));
        }
        run();
    }
    bool is_answered(int32_t result) {
        for (const Sqe& sqe : all()) {
            const auto* c = reinterpret_cast<const ublksrv_io_cmd*>(sqe.cmd);
            if (sqe.opcode == IORING_OP_URING_CMD && sqe.cmd_op == RR_UBLK_COMMIT)
                return c->result == result;
        }
        return false;
    }
    static std::span<const iovec> pieces(uint64_t address, uint32_t count) {
        return {reinterpret_cast<const iovec*>(address), count};
    }
};

class RingBundle : public bundles<io_uring_sqe> {
protected:
    static int32_t bytes(const io_uring_sqe& sqe) {
        if (sqe.opcode != RR_OPCODE_WRITEV_FIXED && sqe.opcode != RR_OPCODE_READV_FIXED)
            return static_cast<int32_t>(sqe.len);
        int32_t sum = 0;
        for (const iovec& piece : pieces(sqe.addr, sqe.len))
            sum += static_cast<int32_t>(piece.iov_len);
        return sum;
    }
};

TEST_F(RingBundle, AStripeIsAsFewWritesAsItsMembersTake) {
    write(0, 0, 3 * chunk);
    copied();
    const auto writes = all();
    ASSERT_EQ(writes.size(), members * cells / longest);
    std::map<int, uint64_t> next;
    for (const io_uring_sqe& sqe : writes) {
        ASSERT_EQ(sqe.opcode, RR_OPCODE_WRITEV_FIXED);
        ASSERT_EQ(sqe.len, longest);
        EXPECT_EQ(sqe.off, next.contains(sqe.fd) ? next[sqe.fd] : sqe.off);
        next[sqe.fd] = sqe.off + longest * cell * 512;
        for (const iovec& piece : pieces(sqe.addr, sqe.len))
            EXPECT_EQ(piece.iov_len, cell * 512U);
        EXPECT_EQ(sqe.buf_index, array_->depth);
        answer(sqe, longest * cell * 512);
    }
    EXPECT_EQ(next.size(), members);
    run();
    EXPECT_TRUE(is_answered(3 * chunk * 512));
    EXPECT_EQ(queue()->inflight, array_->depth);
    EXPECT_EQ(queue()->free_slots, array_->slots);
}

TEST_F(RingBundle, WhatFailsTogetherIsTriedAlone) {
    for (const bool is_bad : {false, true}) {
        write(0, 0, 3 * chunk);
        copied();
        for (const io_uring_sqe& sqe : all())
            answer(sqe, sqe.fd == 2 && sqe.off == 0 ? -EIO : bytes(sqe));
        const auto before = queue()->inflight;
        run();
        EXPECT_LT(queue()->inflight, before);
        auto alone = all();
        ASSERT_EQ(alone.size(), longest);
        for (const io_uring_sqe& sqe : alone) {
            EXPECT_EQ(sqe.opcode, IORING_OP_WRITE_FIXED);
            EXPECT_EQ(sqe.fd, 2);
            EXPECT_EQ(sqe.len, cell * 512U);
            answer(sqe, is_bad && &sqe == &alone.back() ? -EIO : bytes(sqe));
        }
        run();
        EXPECT_EQ(array_->state & RR_STATE_MISSING, is_bad ? 1U << 1 : 0U);
        if (!is_bad) {
            EXPECT_TRUE(is_answered(3 * chunk * 512));
        }
    }
}

TEST_F(RingBundle, AShortOneIsTriedAlone) {
    write(0, 0, 3 * chunk);
    copied();
    for (const io_uring_sqe& sqe : all())
        answer(sqe, bytes(sqe) - 512);
    run();
    const auto alone = all();
    EXPECT_EQ(alone.size(), members * cells);
    for (const io_uring_sqe& sqe : alone)
        answer(sqe, bytes(sqe));
    run();
    EXPECT_TRUE(is_answered(3 * chunk * 512));
    EXPECT_EQ(array_->state & RR_STATE_MISSING, 0U);
    // And what comes after is joined again.
    write(1, 3 * chunk, 3 * chunk);
    copied();
    EXPECT_EQ(all().size(), members * cells / longest);
}

TEST_F(RingBundle, ThosePartsJoinThatMeetAtTheBorderOfACell) {
    // The second half of cell 0, cell 1, and the first block of cell 2.
    write(0, cell / 2, cell / 2 + cell + 8);
    for (int phase = 0; phase < 2; phase++) {
        std::vector<io_uring_sqe> ios = all();
        if (phase == 1) {
            for (const io_uring_sqe& sqe : ios)
                answer(sqe, static_cast<int32_t>(sqe.len));
            run();
            ios = all();
        }
        // Of two members each: what is read, and what is written.
        ASSERT_EQ(ios.size(), 2U);
        for (const io_uring_sqe& sqe : ios) {
            ASSERT_EQ(sqe.len, 3U);
            EXPECT_EQ(pieces(sqe.addr, 3)[0].iov_len, cell / 2 * 512U);
            EXPECT_EQ(pieces(sqe.addr, 3)[1].iov_len, cell * 512U);
            EXPECT_EQ(pieces(sqe.addr, 3)[2].iov_len, 8 * 512U);
            answer(sqe, bytes(sqe));
        }
        run();
    }
    EXPECT_TRUE(is_answered((cell / 2 + cell + 8) * 512));
}

// Neighbours in different requests, of which the first ends within a cell.
TEST_F(RingBundle, WithinACellNothingJoins) {
    write(0, cell - 16, 8);
    write(1, cell - 8, 16);
    for (int phase = 0; phase < 12; phase++) {
        for (const io_uring_sqe& sqe : all()) {
            if (sqe.opcode == RR_OPCODE_WRITEV_FIXED) {
                EXPECT_EQ(pieces(sqe.addr, sqe.len)[0].iov_len, 8 * 512U);
            }
            if (sqe.opcode != IORING_OP_URING_CMD && sqe.opcode != IORING_OP_TIMEOUT)
                answer(sqe, bytes(sqe));
        }
        run();
    }
    EXPECT_EQ(queue()->free_slots, array_->slots);
}

TEST_F(RingBundle, WithoutABundleEachIsAlone) {
    rr_bundles* left = rr_bundles_at(array_.get(), queue());
    left->made = RR_BUNDLES;
    write(0, 0, 3 * chunk);
    copied();
    const auto writes = all();
    EXPECT_EQ(writes.size(), members * cells);
    for (const io_uring_sqe& sqe : writes)
        answer(sqe, bytes(sqe));
    run();
    EXPECT_TRUE(is_answered(3 * chunk * 512));
}

// Commands to namespaces: one with a vector.
class RingBundleNvme : public bundles<rr::test::large_sqe> {
protected:
    RingBundleNvme() { ring_.lba_shift = 9; }
};

TEST_F(RingBundleNvme, ACommandHasThePiecesAndAllOfTheirBlocks) {
    write(0, 0, 3 * chunk);
    copied();
    const auto writes = all();
    ASSERT_EQ(writes.size(), members * cells / longest);
    for (const auto& sqe : writes) {
        const auto* c = reinterpret_cast<const rr_nvme_command*>(sqe.cmd);
        EXPECT_EQ(sqe.cmd_op, RR_NVME_URING_CMD_IO_VEC);
        ASSERT_EQ(c->data_len, longest);
        EXPECT_EQ(c->cdw12 & 0xffff, longest * cell - 1);
        EXPECT_EQ(pieces(c->addr, longest)[1].iov_len, cell * 512U);
        answer(sqe, 0);
    }
    run();
    EXPECT_TRUE(is_answered(3 * chunk * 512));
}

}  // namespace
