// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Jobs that do regions, as the control plane steers them beside a real queue: run after
// run, and what is recorded of it on the members.
#include "service/jobs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "engine/redo.h"
#include "engine_under_test.h"
#include "md_helpers.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {
namespace {

using std::chrono::milliseconds;

constexpr uint32_t chunk = 8;
constexpr uint32_t stripes = 63;  // the last region is a half one
constexpr uint32_t target = 1;

// A cell is a chunk, a region two stripes: 32 of them.
class ServiceJobs : public testing::Test {
protected:
    ServiceJobs() : array_(config()) {
        md::new_array spec = test::four_members();
        spec.bitmap = true;
        metadata_.emplace(test::state_of(spec),
                          [this](uint32_t role, const md::md_superblock& sb) -> Status {
                              disk_[role] = sb;
                              return {};
                          });
        md::bitmap image({}, array_->member_sectors, chunk * 2, false);
        bitmap_.emplace(array_.get(), std::move(image), array_bitmap::needs{});
        bitmap_->begin(false, 0);
        EXPECT_TRUE(metadata_->mark_dirty());
        make_jobs();
    }
    static array_config config() {
        array_config c = test::shape(4, chunk);
        c.slots = 8;
        c.region_sectors = chunk * 2;
        c.member_sectors = uint64_t{chunk} * stripes;
        return c;
    }
    void make_jobs() {
        array_jobs::needs how;
        how.bitmap = &*bitmap_;
        how.wake = [this] { woken_ = true; };
        how.flush = [this](uint32_t) {
            flushes_++;
            return true;
        };
        jobs_.emplace(array_.get(), how);
    }
    rr_u32& word(uint32_t region) { return *rr_region_at(array_.get(), region); }
    void need(std::initializer_list<uint32_t> regions) {
        for (const uint32_t region : regions)
            word(region) = RR_REGION_SET | RR_REGION_NEEDED;
    }
    void lose_target() {
        array_->state |= 1ULL << target;
        ASSERT_TRUE(metadata_->mark_failed(target));
    }
    void seat_target() {
        auto own = md::make_spare(*metadata_->member(0), 131072, {});
        ASSERT_TRUE(own);
        ASSERT_TRUE(metadata_->begin_rebuild(target, *own, true));
    }
    void rebuild(uint64_t from = 0) {
        lose_target();
        seat_target();
        jobs_->begin_rebuild(target, from, true);
    }
    // The control plane, then the queue; no I/O ends.
    void look() {
        now_ += milliseconds(100);
        jobs_->look(*metadata_, now_);
        rr_host_message(array_.get(), 0);
    }
    // What is in flight ends, and what follows from it.
    void finish() {
        while (const rr_action* a = rr_host_action(array_.get(), 0)) {
            const rr_action done = *a;
            const uint64_t cell = done.position >> array_->cell_shift;
            if (done.act == RR_ACT_READ)
                read_.insert(cell);
            if (done.act == RR_ACT_WRITE)
                written_.insert(cell);
            rr_host_complete(array_.get(), 0, done.token, static_cast<int>(done.length));
        }
    }
    // False: it did not end.
    bool work() {
        for (int i = 0; i < 200 && jobs_->runs(); i++) {
            look();
            finish();
        }
        return !jobs_->runs();
    }
    static std::set<uint64_t> cells(std::initializer_list<uint64_t> list) { return list; }

    test::small_array array_;
    std::optional<md::array_metadata> metadata_;
    std::optional<array_bitmap> bitmap_;
    std::optional<array_jobs> jobs_;
    std::map<uint32_t, md::md_superblock> disk_;
    std::set<uint64_t> read_, written_;
    array_jobs::clock::time_point now_ = array_jobs::clock::now();
    int flushes_ = 0;
    bool woken_ = false;
};

TEST_F(ServiceJobs, ARebuildDoesTheRegionsThatNeedIt) {
    need({0, 5, 6, 31});
    rebuild();
    EXPECT_EQ(jobs_->status()["now"]["by_bitmap"], true);
    EXPECT_EQ(jobs_->status()["now"]["total_sectors"], 7 * chunk);
    ASSERT_TRUE(work());
    EXPECT_EQ(written_, cells({0, 1, 10, 11, 12, 13, 62}));
    EXPECT_EQ(read_, written_);
    EXPECT_EQ(array_->state & (RR_STATE_MISSING | RR_STATE_REBUILD), 0U);
    EXPECT_EQ(
        disk_[target].feature_map & (md::feature_recovery_offset | md::feature_recovery_bitmap),
        0U);
    EXPECT_EQ(disk_[0].role_of(disk_[target].dev_number), target);
    EXPECT_EQ(bitmap_->needed_cells(0), 0U);
    EXPECT_EQ(word(5), rr_u32{RR_REGION_SET}) << "its bits are there as before";
    EXPECT_EQ(jobs_->status()["last"]["how"], "done");
    EXPECT_GT(flushes_, 0);
}

TEST_F(ServiceJobs, WhereNothingIsNeededItIsOverAtOnce) {
    rebuild();
    ASSERT_TRUE(work());
    EXPECT_TRUE(written_.empty());
    EXPECT_EQ(array_->state & (RR_STATE_MISSING | RR_STATE_REBUILD), 0U);
    EXPECT_EQ(disk_[target].feature_map & md::feature_recovery_offset, 0U);
}

TEST_F(ServiceJobs, ARebuildGoesOnFromItsCheckpoint) {
    need({0, 5, 6});
    rebuild(11);
    ASSERT_TRUE(work());
    EXPECT_EQ(written_, cells({11, 12, 13}));
}

TEST_F(ServiceJobs, AResyncDoesTheRegionsThatNeedIt) {
    need({2, 31});
    array_->job.by_region = 1;
    array_->state |= RR_STATE_RESYNC;
    jobs_->begin_resync();
    ASSERT_TRUE(work());
    EXPECT_EQ(read_, cells({4, 5, 62}));
    EXPECT_EQ(array_->state & RR_STATE_RESYNC, 0U);
    EXPECT_EQ(word(2), rr_u32{RR_REGION_SET});
}

TEST_F(ServiceJobs, AllOfItWhereNobodyCountsRegions) {
    need({2});
    lose_target();
    seat_target();
    jobs_->begin_rebuild(target, 0);
    EXPECT_EQ(array_->job.by_region, 0U);
    ASSERT_TRUE(work());
    EXPECT_EQ(written_.size(), stripes);
}

TEST_F(ServiceJobs, BetweenTwoRunsTheNextOneBeginsBehindTheGap) {
    need({0, 5});
    rebuild();
    look();
    finish();
    EXPECT_EQ(array_->job.ended, 1U);
    EXPECT_EQ(array_->job.frontier, 2U);
    now_ += milliseconds(100);
    jobs_->look(*metadata_, now_);
    EXPECT_EQ(array_->job.frontier, 10U);
    EXPECT_EQ(array_->job.next, 10U);
    EXPECT_EQ(array_->job.end, 12U);
    EXPECT_EQ(array_->job.ended, 0U);
    EXPECT_EQ(word(0), rr_u32{RR_REGION_SET});
    EXPECT_TRUE(jobs_->runs());
    EXPECT_EQ(jobs_->status()["now"]["done_sectors"], 2 * chunk);
    EXPECT_NE(array_->state & RR_STATE_REBUILD, 0U);
}

TEST_F(ServiceJobs, ATargetThatFailsIsNotReadByAPlanOfBefore) {
    need({0, 5});
    rebuild();
    look();
    finish();
    rr_host_fail(array_.get(), target, -EIO);
    ASSERT_TRUE(work());
    EXPECT_NE(array_->state & (1U << target), 0U);
    EXPECT_EQ(array_->state & RR_STATE_REBUILD, 0U);
    const uint64_t before = array_->state | RR_STATE_REBUILD;
    EXPECT_EQ(rr_missing_at(array_.get(), before, 10), target) << "its rows there are old ones";
    EXPECT_NE(disk_[target].feature_map & md::feature_recovery_offset, 0U);
    ASSERT_TRUE(metadata_->mark_failed(target));
    seat_target();
    jobs_->begin_rebuild(target, 0);
    ASSERT_TRUE(work());
    EXPECT_EQ(word(5), rr_u32{RR_REGION_SET}) << "may be taken back again";
}

TEST_F(ServiceJobs, AnEndInTheMiddleRecordsTheFrontier) {
    need({0, 5, 31});
    rebuild();
    look();
    finish();
    look();
    finish();
    jobs_->close(*metadata_);
    EXPECT_NE(disk_[target].feature_map & md::feature_recovery_bitmap, 0U);
    EXPECT_EQ(disk_[target].recovery_offset, 12 * chunk);
    EXPECT_NE(array_->state & RR_STATE_REBUILD, 0U);
}

TEST_F(ServiceJobs, AnEndBehindTheLastRunMakesItAMember) {
    need({31});
    rebuild();
    look();
    finish();
    EXPECT_EQ(array_->job.ended, 1U);
    EXPECT_NE(word(31) & RR_REGION_NEEDED, 0U) << "nobody has looked";
    jobs_->close(*metadata_);
    EXPECT_EQ(array_->state & (RR_STATE_MISSING | RR_STATE_REBUILD), 0U);
    EXPECT_EQ(disk_[target].feature_map & md::feature_recovery_offset, 0U);
}

// Killed between two runs, and in each step from one to the next.
TEST_F(ServiceJobs, ASuccessorGoesOnWithTheRunsThatAreLeft) {
    for (int cut = 0; cut < 4; cut++) {
        SCOPED_TRACE(cut);
        written_.clear();
        for (uint32_t region = 0; region < 32; region++)
            word(region) = 0;
        need({0, 5, 31});
        rebuild();
        look();
        finish();
        ASSERT_EQ(array_->job.ended, 1U);
        if (cut >= 1)
            array_->job.next = 10;
        if (cut >= 2)
            array_->job.frontier = 10;
        if (cut >= 3)
            array_->job.end = array_->job.limit = 12;
        restart_arena({reinterpret_cast<std::byte*>(array_.get()), array_->bytes});
        make_jobs();
        ASSERT_TRUE(work());
        EXPECT_EQ(written_, cells({0, 1, 10, 11, 62}));
        EXPECT_EQ(array_->state & (RR_STATE_MISSING | RR_STATE_REBUILD), 0U);
    }
}

}  // namespace
}  // namespace rr
