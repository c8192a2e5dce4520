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
        spec.policy = md::consistency::bitmap;
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
    // What is in flight ends, and what follows from it; or the first of it.
    void finish(int most = std::numeric_limits<int>::max()) {
        for (int i = 0; i < most; i++) {
            const rr_action* a = rr_host_action(array_.get(), 0);
            if (a == nullptr)
                return;
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

// The member in `target` is replaced; the device is behind the roles.
class ServiceReplacement : public ServiceJobs {
protected:
    static constexpr uint32_t index = 4;
    ServiceReplacement() {
        array_->replaced = target;
        make_jobs_that_ask();
    }
    void make_jobs_that_ask() {
        array_jobs::needs how;
        how.wake = [this] { woken_ = true; };
        how.flush = [this](uint32_t of) {
            flushed_.push_back(of);
            return flushes_well_;
        };
        how.replace = [this] { asked_++; };
        how.tell = [this](const std::string& event, const nlohmann::json& more) {
            told_.push_back(event + more.value("how", ""));
        };
        jobs_.emplace(array_.get(), how);
    }
    void begin() {
        auto own = md::make_spare(*metadata_->member(0), 131072, {});
        ASSERT_TRUE(own);
        ASSERT_TRUE(metadata_->begin_replacement(target, *own));
        jobs_->begin_replacement(0);
    }
    // What the metadata's thread makes of a loss (durability.cpp).
    void record_loss() {
        if (metadata_->replacement() && (array_->state & RR_STATE_REPLACE) == 0) {
            ASSERT_TRUE(metadata_->end_replacement(true));
        }
    }
    bool copied() {
        for (int i = 0; i < 200 && asked_ == 0; i++) {
            look();
            finish();
        }
        return asked_ != 0;
    }
    bool has(const std::string& event) { return std::ranges::find(told_, event) != told_.end(); }
    [[nodiscard]] bool replaces() const { return (array().state & RR_STATE_REPLACE) != 0; }
    [[nodiscard]] const rr_array& array() const {
        return *const_cast<test::small_array&>(array_).get();
    }

    std::vector<uint32_t> flushed_;
    std::vector<std::string> told_;
    bool flushes_well_ = true;
    int asked_ = 0;
};

TEST_F(ServiceReplacement, AllCellsAreCopiedAndThenSomebodyElseEndsIt) {
    begin();
    EXPECT_TRUE(replaces());
    EXPECT_EQ(array_->job.kind, rr_u32{RR_JOB_REPLACE});
    EXPECT_EQ(jobs_->status()["now"]["role"], target);
    EXPECT_FALSE(jobs_->is_to_replace());
    ASSERT_TRUE(copied());
    EXPECT_EQ(written_.size(), stripes);
    EXPECT_TRUE(jobs_->is_to_replace());
    EXPECT_TRUE(jobs_->runs()) << "it is not over before they have changed places";
    EXPECT_TRUE(metadata_->replacement());
    ASSERT_TRUE(metadata_->replacement_finished());
    const uint64_t epoch = rr_state_epoch(array_->state);
    jobs_->replaced();
    EXPECT_FALSE(replaces());
    EXPECT_EQ(rr_state_epoch(array_->state), epoch + 1) << "plans of before are over";
    EXPECT_FALSE(jobs_->runs());
    EXPECT_EQ(jobs_->status()["last"]["how"], "done");
    EXPECT_TRUE(has("RebuildFinisheddone"));
    EXPECT_TRUE(has("SpareActive"));
}

// It may have come at a bad time: requests in flight that take long.
TEST_F(ServiceReplacement, WhoDidNotEndItIsAskedAgain) {
    begin();
    ASSERT_TRUE(copied());
    for (int i = 0; i < 5; i++)
        look();
    EXPECT_EQ(asked_, 1) << "not each time: it costs clients a pause";
    for (int i = 0; i < 30; i++)
        look();
    EXPECT_GE(asked_, 3);
}

TEST_F(ServiceReplacement, ParityComesFirst) {
    array_->state |= RR_STATE_RESYNC;
    jobs_->begin_resync();
    begin();
    EXPECT_FALSE(replaces());
    EXPECT_EQ(array_->job.kind, rr_u32{RR_JOB_RESYNC});
    ASSERT_TRUE(copied());
    EXPECT_EQ(array_->state & RR_STATE_RESYNC, 0U);
    EXPECT_EQ(written_.size(), stripes) << "of what was written meanwhile it got nothing";
}

TEST_F(ServiceReplacement, OneThatWaitsCanBeCancelled) {
    array_->state |= RR_STATE_RESYNC;
    jobs_->begin_resync();
    begin();
    ASSERT_FALSE(replaces());
    EXPECT_TRUE(jobs_->cancel());
    EXPECT_EQ(array_->members[index].error, ECANCELED);
    EXPECT_EQ(array_->job.kind, rr_u32{RR_JOB_RESYNC}) << "the resync goes on";
    ASSERT_TRUE(metadata_->end_replacement(false));
    look();
    const Status needed = jobs_->cancel();
    ASSERT_FALSE(needed);
    EXPECT_EQ(needed.error().err, EBUSY) << "the array needs it";
}

TEST_F(ServiceReplacement, WhatTheStateDoesNotKnowOfIsNotThere) {
    auto own = md::make_spare(*metadata_->member(0), 131072, {});
    ASSERT_TRUE(own);
    ASSERT_TRUE(metadata_->begin_replacement(target, *own));
    jobs_->begin_replacement(20);
    ASSERT_TRUE(copied());
    EXPECT_EQ(written_.size(), stripes) << "writes before the flag went by it";
}

// There is no device any more that could be written.
TEST_F(ServiceReplacement, WhatIsGivenUpBeforeItBeginsDoesNotBegin) {
    array_->state |= RR_STATE_RESYNC;
    jobs_->begin_resync();
    begin();
    ASSERT_TRUE(metadata_->end_replacement(true));
    ASSERT_TRUE(work());
    look();
    EXPECT_FALSE(replaces());
    EXPECT_FALSE(jobs_->runs());
}

TEST_F(ServiceReplacement, NorWhereAMemberWasLostWhileItBegan) {
    auto own = md::make_spare(*metadata_->member(0), 131072, {});
    ASSERT_TRUE(own);
    ASSERT_TRUE(metadata_->begin_replacement(target, *own));
    rr_host_fail(array_.get(), 2, -EIO);
    jobs_->begin_replacement(0);
    EXPECT_FALSE(replaces());
    ASSERT_TRUE(metadata_->mark_failed(2));
    look();
    // It is whole again.
    array_->state &= ~RR_STATE_MISSING;
    look();
    EXPECT_FALSE(replaces());
    EXPECT_FALSE(jobs_->runs());
}

TEST_F(ServiceReplacement, AStopRecordsWhatIsThereAndTheNextStartGoesOn) {
    begin();
    look();
    finish(20);
    const uint64_t frontier = array_->job.frontier;
    ASSERT_GT(frontier, 0U);
    ASSERT_LT(frontier, stripes);
    flushed_.clear();
    jobs_->close(*metadata_);
    EXPECT_EQ(flushed_, std::vector<uint32_t>{index}) << "before the superblocks tell of it";
    EXPECT_EQ(disk_[index].recovery_offset, frontier * chunk);
    EXPECT_TRUE(disk_[index].has(md::feature_replacement));
    // As a start makes it: the state has it before anybody writes.
    array_->job.kind = RR_JOB_NONE;
    array_->job.ended = 0;
    make_jobs_that_ask();
    jobs_->begin_replacement(frontier);
    written_.clear();
    ASSERT_TRUE(copied());
    EXPECT_EQ(written_.size(), stripes - frontier);
}

TEST_F(ServiceReplacement, AStopAtTheEndLeavesItToTheNextStart) {
    begin();
    ASSERT_TRUE(copied());
    jobs_->close(*metadata_);
    EXPECT_EQ(disk_[index].recovery_offset, uint64_t{stripes} * chunk);
    EXPECT_TRUE(disk_[index].has(md::feature_replacement)) << "the other one is in use still";
    EXPECT_TRUE(replaces());
}

TEST_F(ServiceReplacement, ACheckpointThatCannotBeFlushedTellsNothing) {
    begin();
    flushes_well_ = false;
    const uint64_t events = disk_[index].events;
    look();
    finish(20);
    look();
    EXPECT_FALSE(flushed_.empty());
    EXPECT_EQ(disk_[index].events, events);
    EXPECT_EQ(disk_[index].recovery_offset, 0U);
}

TEST_F(ServiceReplacement, CancelledItIsGivenUp) {
    begin();
    ASSERT_TRUE(jobs_->cancel());
    EXPECT_FALSE(replaces());
    EXPECT_EQ(array_->members[index].error, ECANCELED);
    record_loss();
    ASSERT_TRUE(work());
    EXPECT_EQ(jobs_->status()["last"]["how"], "cancelled");
    EXPECT_FALSE(has("SpareActive"));
}

TEST_F(ServiceReplacement, CancelledAtTheEndItDoesNotChangePlaces) {
    begin();
    ASSERT_TRUE(copied());
    ASSERT_TRUE(jobs_->cancel());
    EXPECT_FALSE(jobs_->is_to_replace());
    record_loss();
    ASSERT_TRUE(work());
    EXPECT_EQ(jobs_->status()["last"]["how"], "cancelled");
}

TEST_F(ServiceReplacement, AMemberThatIsLostEndsIt) {
    begin();
    look();
    rr_host_fail(array_.get(), 2, -EIO);
    EXPECT_FALSE(replaces());
    ASSERT_TRUE(metadata_->mark_failed(2));
    ASSERT_TRUE(work());
    EXPECT_EQ(jobs_->status()["last"]["how"], "a member failed meanwhile");
    EXPECT_EQ(array_->members[index].error, 0) << "nothing is wrong with the device";
}

TEST_F(ServiceReplacement, ADeviceThatFailsEndsItAndNothingElse) {
    begin();
    look();
    rr_host_fail(array_.get(), index, -EIO);
    record_loss();
    ASSERT_TRUE(work());
    EXPECT_EQ(jobs_->status()["last"]["how"], "the device failed");
    EXPECT_EQ(array_->state & RR_STATE_MISSING, 0U);
}

// What would be written is made up.
TEST_F(ServiceReplacement, BlocksThatCannotBeHadEndIt) {
    begin();
    for (int i = 0; i < 200 && replaces(); i++) {
        look();
        while (const rr_action* a = rr_host_action(array_.get(), 0)) {
            const rr_action done = *a;
            const bool bad = done.act == RR_ACT_READ && done.position >> array_->cell_shift == 7;
            rr_host_complete(array_.get(), 0, done.token,
                             bad ? -EIO : static_cast<int>(done.length));
            if (done.act == RR_ACT_WRITE)
                written_.insert(done.position >> array_->cell_shift);
        }
    }
    EXPECT_FALSE(replaces()) << "nobody writes to it any more";
    record_loss();
    ASSERT_TRUE(work());
    EXPECT_EQ(array_->state & RR_STATE_MISSING, 0U) << "no member is to blame";
    EXPECT_FALSE(written_.contains(7));
    EXPECT_NE(jobs_->status()["last"]["how"].get<std::string>().find("cannot be read"),
              std::string::npos);
}

TEST_F(ServiceReplacement, OneBadBlockComesFromTheOthersAndIsMended) {
    begin();
    bool bad = true;
    std::set<uint32_t> wrote_to;
    for (int i = 0; i < 200 && asked_ == 0; i++) {
        look();
        while (const rr_action* a = rr_host_action(array_.get(), 0)) {
            const rr_action done = *a;
            const bool cell = done.position >> array_->cell_shift == 7;
            const bool now = cell && bad && done.act == RR_ACT_READ && done.role == target;
            bad = bad && !now;
            rr_host_complete(array_.get(), 0, done.token,
                             now ? -EIO : static_cast<int>(done.length));
            if (cell && done.act == RR_ACT_WRITE)
                wrote_to.insert(done.role);
        }
    }
    EXPECT_TRUE(jobs_->is_to_replace());
    EXPECT_EQ(wrote_to, (std::set<uint32_t>{target, index}));
    EXPECT_EQ(jobs_->corrected(target), 8U);
    ASSERT_TRUE(metadata_->replacement_finished());
    jobs_->replaced();
    EXPECT_EQ(jobs_->status()["last"]["how"], "done");
}

TEST_F(ServiceReplacement, PausedItWaitsAlsoAtItsEnd) {
    begin();
    look();
    finish(20);
    ASSERT_TRUE(jobs_->pause());
    for (int i = 0; i < 20; i++) {
        look();
        finish();
    }
    EXPECT_EQ(jobs_->status()["now"]["state"], "paused");
    EXPECT_LT(array_->job.frontier, stripes);
    ASSERT_TRUE(jobs_->resume());
    ASSERT_TRUE(copied());
    ASSERT_TRUE(jobs_->pause());
    asked_ = 0;
    for (int i = 0; i < 30; i++)
        look();
    EXPECT_EQ(asked_, 0);
    ASSERT_TRUE(jobs_->resume());
    ASSERT_TRUE(copied());
}

TEST_F(ServiceReplacement, ACheckWaitsForItAndComesThen) {
    begin();
    EXPECT_EQ(jobs_->begin_check(false, 0, 0).error().err, EBUSY);
    scrub_note note{RR_JOB_CHECK, 0, 0, uint64_t{stripes} * chunk, 0, 0, {}, {}};
    jobs_->go_on(note);
    EXPECT_EQ(array_->job.kind, rr_u32{RR_JOB_REPLACE});
    ASSERT_TRUE(copied());
    ASSERT_TRUE(metadata_->replacement_finished());
    jobs_->replaced();
    look();
    EXPECT_EQ(array_->job.kind, rr_u32{RR_JOB_CHECK});
}

}  // namespace
}  // namespace rr
