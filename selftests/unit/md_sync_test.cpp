// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Durability: what was written is flushed, in time and in order.
//
// A page cache hides a missing flush from every test that reads back, so this
// program has its own fdatasync(), which the linker prefers to libc's: it tells
// a test which descriptor is flushed, and then flushes.
#include <sys/syscall.h>

#include <algorithm>
#include <functional>
#include <mutex>

#include "md/update.h"
#include "md_helpers.h"
#include "resync/resync.h"
#include "resync/zeroes.h"

namespace {
std::function<void(int fd)> on_flush;
}

extern "C" int fdatasync(int fd) {
    if (on_flush)
        on_flush(fd);
    return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

namespace rr::test {
namespace {

class MdSync : public testing::Test {
protected:
    void SetUp() override {
        made_ = must_make(four_members());
        for (uint32_t role = 0; role < 4; role++) {
            fds_.push_back(open_file(dir_.file(fmt::format("m{}", role), 131072)));
            raw_fds_.push_back(fds_.back().get());
            members_.push_back({fds_.back().get(), made_[role].data_offset});
            ASSERT_TRUE(md::write_superblock(raw_fds_[role], made_[role]));
        }
        on_flush = [this](int fd) {
            flushed_.push_back(fd);
            if (at_flush_)
                at_flush_();
        };
    }
    void TearDown() override { on_flush = nullptr; }

    [[nodiscard]] std::vector<uint64_t> events_on_disk() const {
        std::vector<uint64_t> events;
        for (const int fd : raw_fds_)
            events.push_back(md::read_superblock(fd)->events);
        return events;
    }
    void damage(uint32_t role, uint64_t byte) const {
        const uint8_t one = 1;
        const auto at = static_cast<off_t>(made_[role].data_offset * 512 + byte);
        ASSERT_EQ(::pwrite(raw_fds_[role], &one, 1, at), 1);
    }

    scratch_dir dir_;
    std::vector<md::md_superblock> made_;
    std::vector<Fd> fds_;
    std::vector<int> raw_fds_;
    std::vector<resync_member> members_;
    std::vector<int> flushed_;  // descriptors, in order
    std::function<void()> at_flush_;
};

TEST_F(MdSync, EachMemberIsDurableBeforeTheNextIsWritten) {
    md::array_metadata::state state;
    state.members.assign(made_.begin(), made_.end());
    md::array_metadata array(state, md::write_to(raw_fds_));
    std::vector<std::vector<uint64_t>> seen;
    at_flush_ = [&] { seen.push_back(events_on_disk()); };
    ASSERT_TRUE(array.mark_dirty());
    EXPECT_EQ(flushed_, raw_fds_);
    const std::vector<std::vector<uint64_t>> staggered{
        {2, 1, 1, 1}, {2, 2, 1, 1}, {2, 2, 2, 1}, {2, 2, 2, 2}};
    EXPECT_EQ(seen, staggered);
}

TEST_F(MdSync, AFailureIsDurableOnTheSurvivors) {
    md::array_metadata::state state;
    state.members.assign(made_.begin(), made_.end());
    md::array_metadata array(state, md::write_to(raw_fds_));
    ASSERT_TRUE(array.mark_failed(1));
    EXPECT_EQ(flushed_, (std::vector<int>{raw_fds_[0], raw_fds_[2], raw_fds_[3]}));
}

TEST_F(MdSync, ResyncFlushesWhatItWroteAndNothingElse) {
    const rr_geometry g{4, 7, RR_LEFT_SYMMETRIC};
    resync_options options;
    options.stripes = 8;
    ASSERT_TRUE(resync(g, members_, options));
    EXPECT_TRUE(flushed_.empty());
    damage(0, 65536);      // stripe 1: parity on member 2
    damage(0, 5 * 65536);  // stripe 5: parity on member 2
    damage(1, 4 * 65536);  // stripe 4: parity on member 3
    ASSERT_TRUE(resync(g, members_, options));
    EXPECT_EQ(flushed_, (std::vector<int>{raw_fds_[2], raw_fds_[3]}));
}

TEST_F(MdSync, ACancelledResyncFlushesWhatItWrote) {
    const rr_geometry g{4, 7, RR_LEFT_SYMMETRIC};
    std::atomic<bool> cancel = false;
    resync_options options;
    options.stripes = 8;
    options.batch_bytes = 1;
    options.cancel = &cancel;
    options.progress = [&](uint64_t, uint64_t) { cancel = true; };
    damage(0, 0);  // stripe 0: parity on member 3
    const auto report = resync(g, members_, options);
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->cancelled);
    EXPECT_EQ(flushed_, std::vector<int>{raw_fds_[3]});
}

TEST_F(MdSync, ZeroingFlushesEveryMember) {
    std::mutex lock;
    on_flush = [&](int fd) {
        const std::lock_guard<std::mutex> held(lock);
        flushed_.push_back(fd);
    };
    ASSERT_TRUE(zero_members(members_, 1024));
    std::sort(flushed_.begin(), flushed_.end());
    std::sort(raw_fds_.begin(), raw_fds_.end());
    EXPECT_EQ(flushed_, raw_fds_);
}

}  // namespace
}  // namespace rr::test
