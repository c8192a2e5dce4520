// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The control plane's half of a check: what of it outlives a daemon, and what its
// rewrites leave in superblocks. The engine's words are written by the test.
#include "service/jobs.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <map>

#include "engine_under_test.h"
#include "md_helpers.h"

namespace rr {
namespace {

using md::uuid;
using std::chrono::seconds;

constexpr uint32_t count = 4;
constexpr uuid id = {1, 2, 3};

class Jobs : public testing::Test {
protected:
    Jobs() : array_(test::shape(count, 128)) {
        metadata_.emplace(test::state_of(test::four_members()),
                          [this](uint32_t role, const md::md_superblock& sb) -> Status {
                              disk_[role] = sb;
                              return {};
                          });
        EXPECT_TRUE(metadata_->mark_dirty());
        array_->state = 0;
        start();
    }
    // Another daemon, with this arena or after it was made anew.
    void start() {
        array_jobs::needs how;
        how.keep = [this](const std::optional<scrub_note>& note) {
            kept_ = note;
            keeps_++;
        };
        how.tell = [this](const std::string& event, const nlohmann::json&) {
            events_.push_back(event);
        };
        jobs_.emplace(array_.get(), how);
    }
    void restart() {
        jobs_->close(*metadata_);
        array_->job = rr_job{};
        start();
        if (kept_)
            jobs_->go_on(*kept_);
    }
    void look(int after = 1) {
        now_ += seconds(after);
        jobs_->look(*metadata_, now_);
    }
    void begin(uint64_t from = 0, uint64_t to = 0, bool repair = false) {
        Status begun = jobs_->begin_check(repair, from, to);
        ASSERT_TRUE(begun) << describe(begun.error());
    }
    [[nodiscard]] uint64_t cell() const { return uint64_t{1} << (array_.get()->cell_shift - 9); }
    [[nodiscard]] uint64_t cells() const { return array_.get()->member_sectors / cell(); }
    rr_job& job() { return array_->job; }
    void reach(uint64_t frontier) { job().next = job().frontier = frontier; }
    void wrong(uint64_t in_cell) {
        job().wrong[job().wrong_rows++ % RR_JOB_NOTES] = in_cell * cell() / 8;
    }
    void end() {
        reach(job().end);
        job().ended = 1;
        look();
    }
    nlohmann::json told(const char* key) { return jobs_->status()[key]; }

    mutable test::small_array array_;
    std::optional<md::array_metadata> metadata_;
    std::map<uint32_t, md::md_superblock> disk_;
    std::optional<array_jobs> jobs_;
    std::optional<scrub_note> kept_;
    int keeps_ = 0;
    std::vector<std::string> events_;
    array_jobs::clock::time_point now_ = array_jobs::clock::now();
};

TEST_F(Jobs, ACheckThatIsStoppedGoesOnAtTheNextStart) {
    begin(4 * cell(), 60 * cell());
    reach(20);
    wrong(10);
    job().unreadable_cells = 1;
    restart();
    EXPECT_EQ(job().kind, RR_JOB_CHECK);
    EXPECT_EQ(job().frontier, 20U);
    EXPECT_EQ(job().next, 20U);
    EXPECT_EQ(job().end, 60U);
    EXPECT_EQ(told("now")["mismatch_sectors"], 8);
    EXPECT_EQ(told("now")["mismatches"][0], 10 * cell());
    EXPECT_EQ(told("now")["unreadable_cells"], 1);
    EXPECT_EQ(told("now")["from_sector"], 4 * cell());
    EXPECT_EQ(told("now")["done_sectors"], 16 * cell());
    wrong(30);
    end();
    EXPECT_FALSE(kept_) << "it is done";
    EXPECT_EQ(told("last")["how"], "done");
    EXPECT_EQ(told("last")["mismatch_sectors"], 16);
    restart();
    EXPECT_FALSE(jobs_->runs());
}

TEST_F(Jobs, ARepairStaysARepair) {
    begin(0, 0, true);
    reach(5);
    restart();
    EXPECT_EQ(job().kind, RR_JOB_REPAIR);
}

TEST_F(Jobs, ItsPlaceIsKeptWhileItRuns) {
    begin();
    ASSERT_TRUE(kept_);
    EXPECT_EQ(kept_->reached, 0U);
    reach(1);
    look();
    EXPECT_EQ(kept_->reached, 0U) << "not for each cell";
    look(60);
    EXPECT_EQ(kept_->reached, cell()) << "in time, however slow it is";
    reach(1 + cells() / 16);
    look();
    EXPECT_EQ(kept_->reached, (1 + cells() / 16) * cell());
    const int keeps = keeps_;
    look(60);
    EXPECT_EQ(keeps_, keeps) << "nothing is new";
}

// The machine goes down with cells in work: their rows are compared again.
TEST_F(Jobs, WhatIsWrongAboveTheFrontierIsNotCountedTwice) {
    begin();
    reach(20);
    job().next = 24;
    wrong(3);
    wrong(22);
    look(60);
    ASSERT_TRUE(kept_);
    EXPECT_EQ(kept_->wrong_rows, 1U);
    EXPECT_EQ(kept_->wrong, (std::vector<uint64_t>{3 * cell() / 8}));
    // Nor by a successor that has the arena.
    start();
    EXPECT_EQ(job().wrong_rows, 1U);
    EXPECT_EQ(told("now")["mismatches"].size(), 1U);
    wrong(22);
    EXPECT_EQ(told("now")["mismatches"][1], 22 * cell());
}

TEST_F(Jobs, ASuccessorHasTheArenaAndTheBeginningFromTheNote) {
    begin(2 * cell());
    reach(30);
    look(60);
    reach(40);
    start();
    EXPECT_EQ(told("now")["from_sector"], 40 * cell());
    jobs_->go_on(*kept_);
    EXPECT_EQ(job().frontier, 40U);
    EXPECT_EQ(told("now")["from_sector"], 2 * cell());
    EXPECT_EQ(told("now")["done_sectors"], 38 * cell());
}

TEST_F(Jobs, ItWaitsForTheResyncAndTheRebuild) {
    begin();
    reach(7);
    jobs_->close(*metadata_);
    array_->job = rr_job{};
    array_->state = RR_STATE_RESYNC;
    start();
    jobs_->begin_resync();
    jobs_->go_on(*kept_);
    EXPECT_EQ(job().kind, RR_JOB_RESYNC) << "which is what runs";
    EXPECT_EQ(told("waiting")["kind"], "check");
    end();
    look();
    EXPECT_EQ(job().kind, RR_JOB_CHECK);
    EXPECT_EQ(job().frontier, 7U);
    array_->job = rr_job{};
    array_->state = 1;
    start();
    jobs_->go_on(*kept_);
    look();
    EXPECT_FALSE(jobs_->runs());
    EXPECT_EQ(told("waiting")["kind"], "check");
    EXPECT_EQ(told("waiting")["reached_sector"], 7 * cell());
    array_->state = 0;
    look();
    EXPECT_EQ(job().kind, RR_JOB_CHECK);
    EXPECT_EQ(job().frontier, 7U);
    EXPECT_TRUE(told("waiting").is_null());
}

TEST_F(Jobs, ACheckThatIsEndedIsForgotten) {
    begin();
    reach(9);
    look(60);
    ASSERT_TRUE(kept_);
    ASSERT_TRUE(jobs_->cancel());
    job().ended = 1;
    look();
    EXPECT_FALSE(kept_);
    // Also where the array stops before the end was seen.
    begin();
    reach(9);
    ASSERT_TRUE(jobs_->cancel());
    restart();
    EXPECT_FALSE(jobs_->runs());
    // One that waits.
    array_->state = 1;
    jobs_->go_on({RR_JOB_CHECK, 0, cell(), 5 * cell(), 0, 0, {}, {}});
    kept_ = scrub_note{};
    EXPECT_TRUE(jobs_->cancel());
    EXPECT_FALSE(kept_);
    EXPECT_FALSE(jobs_->cancel());
    array_->state = 0;
    look();
    EXPECT_FALSE(jobs_->runs());
}

TEST_F(Jobs, AMemberThatFailsEndsIt) {
    begin();
    reach(9);
    job().error = -ECANCELED;
    job().ended = 1;
    array_->state = 1;
    look();
    EXPECT_FALSE(kept_);
    EXPECT_EQ(told("last")["how"], "a member failed meanwhile");
}

TEST_F(Jobs, AnotherOneReplacesIt) {
    array_->state = 1;
    jobs_->go_on({RR_JOB_CHECK, 0, cell(), 5 * cell(), 0, 0, {}, {}});
    array_->state = 0;
    begin(0, 0, true);
    EXPECT_EQ(job().frontier, 0U);
    end();
    look();
    EXPECT_FALSE(jobs_->runs());
}

TEST_F(Jobs, APlaceOutsideOfTheArrayIsForgotten) {
    kept_ = scrub_note{};
    jobs_->go_on({RR_JOB_CHECK, 0, cells() * cell(), (cells() + 9) * cell(), 0, 0, {}, {}});
    EXPECT_FALSE(jobs_->runs());
    EXPECT_FALSE(kept_);
    jobs_->go_on({RR_JOB_CHECK, 0, cell() + 1, UINT64_MAX, 0, 0, {}, {}});
    EXPECT_EQ(job().frontier, 1U);
    EXPECT_EQ(job().end, cells());
}

// What it rewrites is in the superblocks from their next write on, once.
TEST_F(Jobs, RewrittenCellsAreCountedInTheSuperblocks) {
    begin();
    job().mended[2] = 3;
    look();
    EXPECT_EQ(jobs_->corrected(2), 24U);
    EXPECT_EQ(disk_[2].corrected_reads, 0U) << "no write for its own sake";
    ASSERT_TRUE(metadata_->mark_clean());
    EXPECT_EQ(disk_[2].corrected_reads, 24U);
    EXPECT_EQ(disk_[1].corrected_reads, 0U);
    job().mended[2] = 4;
    // A stop, the next start, and it goes on: each cell once.
    restart();
    ASSERT_TRUE(metadata_->mark_dirty());
    EXPECT_EQ(disk_[2].corrected_reads, 32U);
    EXPECT_EQ(job().mended[2], 4U) << "what the check found";
    look();
    job().mended[1] = 1;
    end();
    EXPECT_EQ(told("last")["mended_cells"], 5);
    begin();
    look();
    ASSERT_TRUE(metadata_->mark_clean());
    EXPECT_EQ(disk_[2].corrected_reads, 32U);
    EXPECT_EQ(disk_[1].corrected_reads, 8U);
    // A successor's arena has cells that the dead daemon counted.
    job().mended[3] = 2;
    look();
    start();
    look();
    EXPECT_EQ(jobs_->corrected(3), 0U);
    ASSERT_TRUE(metadata_->mark_dirty());
    EXPECT_EQ(disk_[3].corrected_reads, 16U);
}

const scrub_note some_note = {RR_JOB_REPAIR, 8, 128, 4096, 2, 1, {4, 9}, {0, 3}};

TEST(ScrubNote, IsReadAsItWasWritten) {
    const nlohmann::json json = nlohmann::json::parse(to_json(some_note, id).dump());
    const auto back = note_of(json, id);
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, some_note);
    EXPECT_FALSE(note_of(json, uuid{9})) << "another array's";
}

TEST(ScrubNote, WhatIsNoNoteIsNone) {
    const nlohmann::json good = to_json(some_note, id);
    for (const auto& [key, value] : good.items()) {
        nlohmann::json bad = good;
        bad.erase(key);
        EXPECT_FALSE(note_of(bad, id)) << key;
        for (const nlohmann::json& other :
             {nlohmann::json(), nlohmann::json(-1), nlohmann::json("x"), nlohmann::json({1, "x"}),
              nlohmann::json(1e30), nlohmann::json::object()}) {
            bad[key] = other;
            EXPECT_FALSE(note_of(bad, id)) << key << other;
        }
    }
    nlohmann::json bad = good;
    bad["reached_sector"] = 4096;
    EXPECT_FALSE(note_of(bad, id)) << "it was at its end";
    bad = good;
    bad["from_sector"] = 129;
    EXPECT_FALSE(note_of(bad, id));
    bad = good;
    bad["wrong"] = std::vector<uint64_t>(RR_JOB_NOTES + 1, 1);
    bad["wrong_rows"] = RR_JOB_NOTES + 1;
    EXPECT_FALSE(note_of(bad, id)) << "more than there is room for";
    bad = good;
    bad["wrong_rows"] = 70;
    EXPECT_FALSE(note_of(bad, id)) << "rows that nobody noted";
    for (const nlohmann::json& other :
         {nlohmann::json(), nlohmann::json(1), nlohmann::json("x"), nlohmann::json::array()})
        EXPECT_FALSE(note_of(other, id));
}

TEST(ScrubNote, IsKeptInADirectoryOfRootsAlone) {
    if (::geteuid() != 0)
        GTEST_SKIP() << "not root";
    const test::scratch_dir dir;
    const std::string directory = dir.file("x", 0) + "-kept";
    const std::string path = directory + "/a.check";
    {
        scrub_notes notes(path, id);
        EXPECT_FALSE(notes.read());
        notes.keep(std::nullopt);
        notes.keep(some_note);
    }
    scrub_notes notes(path, id);
    EXPECT_EQ(notes.read(), some_note);
    EXPECT_EQ(std::filesystem::status(directory).permissions(), std::filesystem::perms::owner_all);
    std::filesystem::permissions(directory, std::filesystem::perms(0777));
    EXPECT_FALSE(notes.read()) << "anybody's";
    std::filesystem::permissions(directory, std::filesystem::perms(0700));
    {
        scrub_notes again(path, id);
        again.keep(std::nullopt);
    }
    EXPECT_TRUE(std::filesystem::is_empty(directory));
}

}  // namespace
}  // namespace rr
