// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The thread that writes partial parity logs: asked as queues ask, by the arena and their
// rings; what it has written is read by the parser.
#include "engine/log_thread.h"

#include <gtest/gtest.h>
#include <liburing.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <memory>

#include "base/io.h"
#include "engine/layout.h"
#include "engine/words.h"
#include "md/ppl.h"

extern "C" {
#include "engine/host.h"
}

namespace rr::test {
namespace {

constexpr md::uuid id{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
constexpr uint32_t members = 4, chunk = 128, parity = members - 1;
constexpr uint64_t area = 400, area_at = 24;

struct free_memory {
    void operator()(void* p) const { std::free(p); }
};

class LogThread : public testing::Test {
protected:
    void SetUp() override {
        array_config c;
        c.members = members;
        c.chunk_sectors = chunk;
        c.queues = 2;
        c.depth = 8;
        c.slots = 64;
        c.member_sectors = uint64_t{chunk} * 64;
        const auto layout = plan_layout(c);
        memory_.reset(std::aligned_alloc(4096, layout->bytes));
        array_ = static_cast<rr_array*>(memory_.get());
        init_arena({static_cast<std::byte*>(memory_.get()), layout->bytes}, *layout, 0);
        array_->log_roles = (1U << members) - 1;
        array_->log_fua = 1U << parity;
        file_ = ::memfd_create("member", MFD_CLOEXEC);
        ASSERT_TRUE(empty_log());
        for (io_uring& ring : rings_) {
            if (const int r = io_uring_queue_init(64, &ring, 0); r < 0)
                GTEST_SKIP() << "no io_uring here: " << r;
            made_++;
        }
    }
    void TearDown() override {
        thread_.reset();
        while (made_ > 0)
            io_uring_queue_exit(&rings_[--made_]);
        ::close(file_);
    }
    [[nodiscard]] Status empty_log() const {
        return md::write_empty_ppl(file_, id, {area_at, area});
    }
    // The member of parity has its log in @file; the last ring is the control plane's.
    void go(int file) {
        thread_ = std::make_unique<log_thread>(array_, id);
        log_thread::places where{};
        where[parity] = {file, area_at, area};
        ASSERT_TRUE(thread_->open(where));
        thread_->go({rings_[0].ring_fd, rings_[1].ring_fd}, rings_[2].ring_fd);
    }
    // A write of a block of data chunk 1 of stripe 0, as a queue has it.
    rr_slot* ask(uint32_t queue, uint32_t slot) {
        rr_slot* s = rr_host_slot(array_, queue, slot);
        const uint32_t role = rr_data_member(&array_->geometry, parity, 1);
        s->op = RR_OP_WRITE;
        s->phase = RR_PHASE_LOG;
        s->parity = parity;
        s->cell = 0;
        s->log = RR_LOG_PARTIAL;
        s->data_mask = static_cast<rr_u16>(1U << role);
        s->write_mask = static_cast<rr_u16>(1U << role | 1U << parity);
        s->units[role] = s->units[parity] = 1;
        s->from[role] = s->lo = 0;
        s->to[role] = s->hi = 8;
        rr_queue* q = rr_host_queue(array_, queue);
        q->log_ask[q->log_asked % RR_SLOTS_MAX] = static_cast<rr_u16>(slot);
        store(q->log_asked, q->log_asked + 1);
        if (load(array_->log_awake) == 0)
            tell(queue);
        return s;
    }
    void tell(uint32_t queue) {
        io_uring_sqe* sqe = io_uring_get_sqe(&rings_[queue]);
        io_uring_prep_msg_ring(sqe, thread_->ring_fd(), 0, RR_TOKEN_MESSAGE, 0);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        io_uring_submit(&rings_[queue]);
    }
    // The next message to the ring.
    uint64_t message(uint32_t ring) {
        io_uring_cqe* cqe = nullptr;
        __kernel_timespec wait{.tv_sec = 60, .tv_nsec = 0};
        if (io_uring_wait_cqe_timeout(&rings_[ring], &cqe, &wait) != 0)
            return 0;
        const uint64_t got = cqe->user_data;
        io_uring_cqe_seen(&rings_[ring], cqe);
        return got;
    }
    void give_back(rr_slot* s) {
        EXPECT_NE(s->log & RR_LOG_SHARE, 0);
        __atomic_fetch_sub(&array_->log_open[parity], 1U, __ATOMIC_SEQ_CST);
    }
    std::optional<md::ppl_unit> newest() const {
        const md::ppl_shape shape{array_->geometry, array_->array_sectors, id, parity, area};
        auto unit = md::read_ppl(
            [&](uint64_t sector, std::span<uint8_t> into) {
                std::ranges::fill(into, uint8_t{0});
                (void)read_exact(file_, into, (area_at + sector) * 512);
                return Status{};
            },
            shape);
        EXPECT_TRUE(unit) << unit.error().what;
        return unit ? *unit : std::nullopt;
    }

    std::unique_ptr<void, free_memory> memory_;
    rr_array* array_ = nullptr;
    std::unique_ptr<log_thread> thread_;
    std::array<io_uring, 3> rings_{};
    size_t made_ = 0;
    int file_ = -1;
};

TEST_F(LogThread, WritesUnitsWhereTheLogIsAndAnswersWhoAsked) {
    go(file_);
    uint64_t last = 0;
    for (uint32_t i = 0; i < 100; i++) {
        const uint32_t queue = i % 2;
        rr_slot* s = ask(queue, i % 64);
        ASSERT_EQ(message(queue), rr_token(RR_TOKEN_MESSAGE, 0, 0));
        ASSERT_EQ(load(rr_host_queue(array_, queue)->log_answered), i / 2 + 1);
        const auto unit = newest();
        ASSERT_TRUE(unit);
        ASSERT_GT(unit->generation, last);
        last = unit->generation;
        ASSERT_EQ(unit->entries.at(0).data_sector, chunk);
        give_back(s);
    }
}

TEST_F(LogThread, GoesOnWithWhoWaitsForTheLastShare) {
    go(file_);
    rr_slot* first = ask(0, 0);
    (void)message(0);
    ask(1, 0);
    EXPECT_EQ(load(rr_host_queue(array_, 1)->log_answered), 0U);
    // Nobody tells: it looks by itself.
    give_back(first);
    (void)message(1);
    EXPECT_EQ(newest()->generation, 2U);
}

TEST_F(LogThread, AMemberThatTakesNoUnitIsOutAndTheControlPlaneHearsOfIt) {
    std::array<int, 2> no_file{};
    ASSERT_EQ(::pipe(no_file.data()), 0);
    go(no_file[0]);
    const rr_slot* s = ask(0, 0);
    EXPECT_EQ(message(2), rr_token(RR_TOKEN_MESSAGE, 0, 0));
    EXPECT_EQ(load(array_->state) & RR_STATE_MISSING, 1U << parity);
    (void)message(0);
    EXPECT_EQ(s->log & RR_LOG_SHARE, 0);
    ::close(no_file[0]);
    ::close(no_file[1]);
}

// As a member behind a network: nobody has failed before it was looked.
class LogThreadJudged : public LogThread {
protected:
    void SetUp() override {
        LogThread::SetUp();
        if (IsSkipped())
            return;
        ASSERT_EQ(::pipe(away_.data()), 0);
        array_->judged = 1;
    }
    void TearDown() override {
        LogThread::TearDown();
        ::close(away_[0]);
        ::close(away_[1]);
    }
    // The control plane was told that there is a suspect.
    void hear() {
        ASSERT_EQ(message(2), rr_token(RR_TOKEN_MESSAGE, 0, 0));
        ASSERT_EQ(static_cast<uint32_t>(load(array_->suspects)), 1U << parity);
    }
    void clear(bool well) {
        store(array_->well, rr_u32{well});
        __atomic_fetch_and(&array_->suspects, ~rr_u64{1U << parity}, __ATOMIC_SEQ_CST);
    }
    std::array<int, 2> away_{};
};

TEST_F(LogThreadJudged, AnOutageFailsNobody) {
    go(away_[0]);
    const rr_slot* s = ask(0, 0);
    for (int i = 0; i < 100; i++) {
        ASSERT_NO_FATAL_FAILURE(hear());
        clear(false);
    }
    ASSERT_NO_FATAL_FAILURE(hear());
    EXPECT_EQ(load(array_->state), 0U);
    EXPECT_EQ(load(rr_host_queue(array_, 0)->log_answered), 0U);
    ASSERT_EQ(::dup2(file_, away_[0]), away_[0]);
    clear(false);
    (void)message(0);
    EXPECT_EQ(load(rr_host_queue(array_, 0)->log_answered), 1U);
    EXPECT_NE(s->log & RR_LOG_SHARE, 0);
    EXPECT_EQ(newest()->generation, 1U);
    EXPECT_EQ(load(array_->state), 0U);
}

TEST_F(LogThreadJudged, AnErrorThatStaysIsTheMembersOwn) {
    go(away_[0]);
    const rr_slot* s = ask(0, 0);
    int looks = 0;
    for (; looks < 100 && message(2) != 0 && load(array_->state) == 0; looks++)
        clear(true);
    EXPECT_EQ(looks, 32);
    (void)message(0);
    EXPECT_EQ(load(array_->state) & RR_STATE_MISSING, 1U << parity);
    EXPECT_EQ(s->log & RR_LOG_SHARE, 0);
}

TEST_F(LogThreadJudged, WhoIsFoundAwayIsWrittenNoMore) {
    go(away_[0]);
    const rr_slot* s = ask(0, 0);
    ASSERT_NO_FATAL_FAILURE(hear());
    rr_host_fail(array_, parity, -ENOLINK);
    ASSERT_EQ(::dup2(file_, away_[0]), away_[0]);
    clear(false);
    (void)message(0);
    EXPECT_EQ(s->log & RR_LOG_SHARE, 0);
    EXPECT_TRUE(newest()->entries.empty());
}

// Another host has the members: suspects are looked at no more.
TEST_F(LogThreadJudged, ABrokenArrayLetsAllGo) {
    go(away_[0]);
    const rr_slot* s = ask(0, 0);
    ASSERT_NO_FATAL_FAILURE(hear());
    ASSERT_EQ(::dup2(file_, away_[0]), away_[0]);
    __atomic_fetch_or(&array_->state, RR_STATE_BROKEN, __ATOMIC_SEQ_CST);
    ASSERT_NE(message(0), 0U);
    EXPECT_EQ(load(rr_host_queue(array_, 0)->log_answered), 1U);
    EXPECT_EQ(s->log & RR_LOG_SHARE, 0);
    EXPECT_TRUE(newest()->entries.empty());
}

TEST_F(LogThread, HasTheNewMembersLogFromItsStart) {
    go(file_);
    for (uint32_t i = 0; i < 3; i++) {
        rr_slot* s = ask(0, i);
        (void)message(0);
        give_back(s);
    }
    EXPECT_EQ(newest()->generation, 3U);
    ASSERT_TRUE(empty_log());
    thread_->set_place(parity, {file_, area_at, area});
    ask(0, 3);
    (void)message(0);
    const auto unit = newest();
    ASSERT_TRUE(unit);
    EXPECT_EQ(unit->generation, 1U);
    EXPECT_EQ(unit->place, 8U);
}

}  // namespace
}  // namespace rr::test
