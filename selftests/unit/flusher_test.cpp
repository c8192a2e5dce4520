// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Who shares a flush; and the thread that does it, asked by rings as the queues' are.
#include <gtest/gtest.h>
#include <liburing.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <initializer_list>
#include <utility>
#include <vector>

#include "engine_under_test.h"

#include "engine/flush_desk.h"
#include "engine/flusher.h"

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
