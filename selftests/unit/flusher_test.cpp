// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Who shares a flush, and which zeros are one command; and the thread that does both, asked by
// rings as the queues' are.
#include <gtest/gtest.h>
#include <liburing.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <initializer_list>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "engine_under_test.h"

#include "engine/flush_desk.h"
#include "engine/flusher.h"
#include "engine/zero_desk.h"

extern "C" {
#include "engine/host.h"
}

namespace {

using rr::flush_desk;

constexpr uint32_t role = 2;

rr::array_config with_queues() {
    rr::array_config c = rr::test::shape(4, 128);
    c.queues = 4;
    return c;
}

class FlushDesk : public testing::Test {
protected:
    // Writes of @queue complete.
    void write(uint32_t queue) { array_.queue(queue)->written[role]++; }
    // As the engine does it before it asks.
    void note(uint32_t queue) {
        for (uint32_t i = 0; i < array_->queues; i++)
            array_.queue(queue)->flush_start[role][i] = array_.queue(i)->written[role];
    }
    void ask(uint32_t queue) {
        note(queue);
        desk_.ask(queue, role);
    }
    static constexpr uint32_t mask(std::initializer_list<uint32_t> queues) {
        uint32_t all = 0;
        for (uint32_t q : queues)
            all |= 1U << q;
        return all;
    }

    rr::test::small_array array_{with_queues()};
    flush_desk desk_{array_.get()};
};

TEST_F(FlushDesk, NothingStartsUnasked) {
    EXPECT_FALSE(desk_.start(role));
    ask(1);
    EXPECT_FALSE(desk_.start(role + 1));
    EXPECT_TRUE(desk_.start(role));
    EXPECT_FALSE(desk_.start(role)) << "it is in flight";
    EXPECT_EQ(desk_.end(role), mask({1}));
    EXPECT_FALSE(desk_.start(role));
}

TEST_F(FlushDesk, ThoseThatWaitShareOne) {
    write(0);
    ask(0);
    ask(1);
    ask(3);
    EXPECT_TRUE(desk_.start(role));
    EXPECT_EQ(desk_.end(role), mask({0, 1, 3}));
}

TEST_F(FlushDesk, OneInFlightIsHisWhoNotedNoMore) {
    write(0);
    ask(0);
    EXPECT_TRUE(desk_.start(role));
    ask(1);
    EXPECT_EQ(desk_.end(role), mask({0, 1}));
    EXPECT_FALSE(desk_.start(role));
}

TEST_F(FlushDesk, OneInFlightDoesNotCoverALaterWriteOfAnyQueue) {
    for (uint32_t writer = 0; writer < 4; writer++) {
        write(0);
        ask(0);
        EXPECT_TRUE(desk_.start(role));
        write(writer);
        ask(1);
        ask(2);
        EXPECT_FALSE(desk_.start(role));
        EXPECT_EQ(desk_.end(role), mask({0})) << writer;
        EXPECT_TRUE(desk_.start(role));
        EXPECT_EQ(desk_.end(role), mask({1, 2}));
    }
}

// Noted before the flush started, asked afterwards.
TEST_F(FlushDesk, AnAskOnItsWayIsCovered) {
    write(3);
    note(3);
    ask(0);
    write(3);
    EXPECT_TRUE(desk_.start(role));
    desk_.ask(3, role);
    EXPECT_EQ(desk_.end(role), mask({0, 3}));
}

// --- Zeros.

using range = rr::zero_desk::range;

void expect_range(const std::optional<range>& got, uint64_t position, uint64_t bytes,
                  bool durable = false, bool mapped = false) {
    ASSERT_TRUE(got);
    EXPECT_EQ(got->position, position);
    EXPECT_EQ(got->bytes, bytes);
    EXPECT_EQ(got->durable, durable);
    EXPECT_EQ(got->mapped, mapped);
}

TEST(ZeroDesk, OneOfAMemberAtATimeAndNeighboursAreOne) {
    rr::zero_desk desk;
    EXPECT_FALSE(desk.start(role));
    desk.ask(role, 1, {.position = 0, .bytes = 64});
    expect_range(desk.start(role), 0, 64);
    desk.ask(role, 2, {.position = 192, .bytes = 64});
    desk.ask(role, 3, {.position = 512, .bytes = 64});
    desk.ask(role, 4, {.position = 64, .bytes = 64});
    desk.ask(role, 5, {.position = 128, .bytes = 64, .durable = true});
    EXPECT_FALSE(desk.start(role)) << "one is in flight";
    EXPECT_EQ(desk.end(role), std::vector<uint64_t>{1});
    expect_range(desk.start(role), 64, 192, true);
    EXPECT_EQ(desk.end(role), (std::vector<uint64_t>{2, 5, 4}));
    expect_range(desk.start(role), 512, 64);
    EXPECT_EQ(desk.end(role), std::vector<uint64_t>{3});
    EXPECT_FALSE(desk.start(role));
}

TEST(ZeroDesk, WhatMayNotDeallocateIsApart) {
    rr::zero_desk desk;
    desk.ask(role, 1, {.position = 0, .bytes = 64, .mapped = true});
    desk.ask(role, 2, {.position = 64, .bytes = 64});
    desk.ask(role + 1, 3, {.position = 64, .bytes = 64, .mapped = true});
    expect_range(desk.start(role), 0, 64, false, true);
    expect_range(desk.start(role + 1), 64, 64, false, true);
    desk.end(role);
    expect_range(desk.start(role), 64, 64);
}

// --- The thread.

class Flusher : public testing::Test {
protected:
    void SetUp() override {
        file_ = ::memfd_create("member", MFD_CLOEXEC);
        ASSERT_GE(file_, 0);
        for (io_uring& ring : rings_) {
            if (const int r = io_uring_queue_init(64, &ring, 0); r < 0)
                GTEST_SKIP() << "no io_uring here: " << r;
            made_++;
        }
        ASSERT_TRUE(flusher_.open(std::vector<int>(4, file_)));
        flusher_.go({rings_[0].ring_fd, rings_[1].ring_fd});
    }
    void TearDown() override {
        flusher_.stop();
        while (made_ > 0)
            io_uring_queue_exit(&rings_[--made_]);
        ::close(file_);
    }
    void ask(uint32_t queue, uint32_t of) {
        io_uring_sqe* sqe = io_uring_get_sqe(&rings_[queue]);
        io_uring_prep_msg_ring(sqe, flusher_.ring_fd(), 0, rr_token(RR_TOKEN_FLUSH, of, queue), 0);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        io_uring_submit(&rings_[queue]);
    }
    // As rr_sqe_zero(): sectors [0, 8) of the cell that @slot has.
    uint64_t ask_zero(uint32_t queue, uint32_t slot, uint64_t cell, uint32_t flags) {
        rr_host_slot(array_.get(), queue, slot)->cell = cell;
        const uint64_t io = rr_token_extent(rr_token(RR_TOKEN_SLOT, role, slot), 0, 8);
        io_uring_sqe* sqe = io_uring_get_sqe(&rings_[queue]);
        io_uring_prep_msg_ring(
            sqe, flusher_.ring_fd(), flags,
            ((io & ~uint64_t{0xff}) | RR_TOKEN_ZERO) | uint64_t{queue} << (16 + RR_SLOT_BITS), 0);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        io_uring_submit(&rings_[queue]);
        return io;
    }
    // The next answer to @queue: token and result.
    std::pair<uint64_t, int> answer(uint32_t queue) {
        io_uring_cqe* cqe = nullptr;
        __kernel_timespec wait{.tv_sec = 60, .tv_nsec = 0};
        if (io_uring_wait_cqe_timeout(&rings_[queue], &cqe, &wait) != 0)
            return {};
        const std::pair<uint64_t, int> got{cqe->user_data, cqe->res};
        io_uring_cqe_seen(&rings_[queue], cqe);
        return got;
    }

    rr::test::small_array array_{with_queues()};
    rr::flusher flusher_{array_.get()};
    std::array<io_uring, 2> rings_{};
    size_t made_ = 0;
    int file_ = -1;
};

TEST_F(Flusher, AnswersWhoAsked) {
    for (uint32_t i = 0; i < 100; i++) {
        const uint32_t queue = i % 2, of = i % 4;
        ask(queue, of);
        EXPECT_EQ(answer(queue), (std::pair<uint64_t, int>{rr_token(RR_TOKEN_FLUSH, of, 0), 0}));
    }
}

TEST_F(Flusher, MakesZerosWhereTheCellIs) {
    const std::vector<char> ones(4 << 20, 1);
    ASSERT_EQ(::pwrite(file_, ones.data(), ones.size(), 0), ssize_t{4 << 20});
    array_->members[role].data_offset = 16;
    for (const uint32_t flags : {0U, uint32_t{RR_ZERO_DURABLE}}) {
        const uint64_t io = ask_zero(1, 3, 2 + flags, flags);
        EXPECT_EQ(answer(1), (std::pair<uint64_t, int>{io, 4096}));
        const uint64_t at = 16 * 512 + ((2 + flags) << array_->cell_shift);
        std::vector<char> got(4096 + 2);
        ASSERT_EQ(::pread(file_, got.data(), got.size(), static_cast<off_t>(at) - 1), 4098);
        EXPECT_EQ(got.front(), 1);
        EXPECT_EQ(got.back(), 1);
        got.front() = got.back() = 0;
        EXPECT_EQ(got, std::vector<char>(4098));
    }
}

TEST_F(Flusher, EachCellHasItsAnswerAlsoThatOfAnError) {
    std::array<int, 2> no_file{};
    ASSERT_EQ(::pipe(no_file.data()), 0);
    std::map<uint64_t, int> wanted, got;
    for (const bool fails : {false, true}) {
        if (fails)
            flusher_.set_member(role, no_file[0]);
        for (uint32_t slot = 0; slot < array_->slots; slot++)
            wanted[ask_zero(0, slot, slot, 0)] = fails ? -EBADF : 4096;
        for (uint32_t slot = 0; slot < array_->slots; slot++)
            got.insert(answer(0));
        EXPECT_EQ(got, wanted);
        got.clear();
    }
    ::close(no_file[0]);
    ::close(no_file[1]);
}

TEST_F(Flusher, TellsOfAnErrorAndHasTheNewMember) {
    std::array<int, 2> no_file{};
    ASSERT_EQ(::pipe(no_file.data()), 0);
    flusher_.set_member(1, no_file[0]);
    ask(1, 1);
    EXPECT_EQ(answer(1), (std::pair<uint64_t, int>{rr_token(RR_TOKEN_FLUSH, 1, 0), -EINVAL}));
    flusher_.set_member(1, file_);
    ask(1, 1);
    EXPECT_EQ(answer(1), (std::pair<uint64_t, int>{rr_token(RR_TOKEN_FLUSH, 1, 0), 0}));
    ::close(no_file[0]);
    ::close(no_file[1]);
}

}  // namespace
