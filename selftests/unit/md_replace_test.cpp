// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A member is replaced in the superblocks (md/update.h): what each step writes and in which
// order, what is left where one cannot be written, and what assembly makes of every cut.
// Disk 4 is to become a copy of disk 1.
#include <algorithm>
#include <set>

#include "md/assemble.h"
#include "md/update.h"
#include "md_helpers.h"

namespace rr::test {
namespace {

using md::array_metadata;
using md::md_superblock;
using md::update_report;

constexpr uint32_t count = 4;
constexpr uint32_t index = count;  // of the replacement
constexpr uint32_t role = 1;
constexpr uint64_t device_sectors = 131072;
constexpr uint64_t reached = 4096;

bool written_to(const Result<update_report>& report, const std::vector<uint32_t>& roles) {
    return report && report->written == roles && report->failed.empty();
}

class MdReplace : public testing::Test {
protected:
    void SetUp() override {
        disks_.clear();
        for (const md_superblock& sb : must_make(four_members()))
            disks_.push_back(md::serialize(sb));
        disks_.emplace_back();
        broken_.clear();
        writes_left_ = -1;
        array_.emplace(open(restart().value()));
        ASSERT_TRUE(array_->mark_dirty());
        make_own();
    }
    void make_own() {
        auto own = md::make_spare(*array_->member(0), device_sectors, {});
        ASSERT_TRUE(own) << own.error().what;
        own_ = *own;
    }

    [[nodiscard]] Result<md_superblock> read(size_t disk) const { return md::parse(disks_[disk]); }
    [[nodiscard]] md_superblock on_disk(size_t disk) const { return read(disk).value(); }

    // As the next start sees the disks.
    [[nodiscard]] Result<md::assembly_plan> restart(const std::set<size_t>& absent = {},
                                                    bool degraded = false,
                                                    bool force = false) const {
        std::vector<md::candidate> here;
        for (size_t i = 0; i < disks_.size(); i++) {
            if (!absent.contains(i))
                here.push_back({fmt::format("d{}", i), device_sectors, read(i)});
        }
        return md::plan_assembly(here, {{}, {}, force, degraded});
    }
    // As a daemon that has made @plan (membership.cpp).
    array_metadata open(const md::assembly_plan& plan) {
        array_metadata::state state;
        where_.assign(count + 1, 0);
        for (uint32_t r = 0; r < count; r++) {
            const auto& member = plan.members[r];
            state.members.push_back(member ? std::optional(member->superblock) : std::nullopt);
            where_[r] = member ? disk_of(member->path) : 0;
            state.events_found.push_back(member ? on_disk(where_[r]).events : 0);
        }
        state.features_to_clear = plan.features_to_clear;
        state.needs_resync = plan.needs_resync;
        if (plan.replacement) {
            where_[index] = disk_of(plan.replacement->device.path);
            state.replacement = plan.replacement->device.superblock;
        } else {
            where_[index] = 4;
        }
        return array_metadata(state, [this](uint32_t to, const md_superblock& sb) -> Status {
            if (writes_left_ == 0 || broken_.contains(where_[to]))
                return fail(EIO, "planted");
            if (writes_left_ > 0)
                writes_left_--;
            order_.push_back(where_[to]);
            disks_[where_[to]] = md::serialize(sb);
            return {};
        });
    }
    static size_t disk_of(const std::string& path) { return std::stoul(path.substr(1)); }

    void begin() {
        ASSERT_TRUE(written_to(array_->begin_replacement(role, own_), {4, 0, 1, 2, 3}));
    }
    void reach(uint64_t sectors = reached) { ASSERT_TRUE(array_->replacement_reached(sectors)); }
    // The caller's part of the end.
    void change_places() { std::swap(where_[role], where_[index]); }

    std::vector<block> disks_;
    std::vector<size_t> where_;  // disks, by index
    std::vector<size_t> order_;  // of what was written
    std::set<size_t> broken_;
    int writes_left_ = -1;
    std::optional<array_metadata> array_;
    md_superblock own_;
};

std::string path_of(const md::assembly_plan& plan, uint32_t r) {
    return plan.members[r] ? plan.members[r]->path : "-";
}

TEST_F(MdReplace, ItsOwnSuperblockIsFirstAndSaysWhatItIs) {
    const uint64_t events = array_->events();
    begin();
    const md_superblock own = on_disk(4);
    EXPECT_EQ(own.role(), role);
    EXPECT_EQ(own.feature_map & (md::feature_recovery_offset | md::feature_replacement),
              md::feature_recovery_offset | md::feature_replacement);
    EXPECT_EQ(own.recovery_offset, 0U);
    for (size_t i = 0; i <= count; i++) {
        EXPECT_EQ(on_disk(i).events, events + 1);
        EXPECT_EQ(on_disk(i).role_of(4), role);
        EXPECT_EQ(on_disk(i).role_of(1), role) << "it is a member still";
        EXPECT_EQ(on_disk(i).has(md::feature_replacement), i == 4);
    }
    EXPECT_TRUE(written_to(array_->replacement_reached(reached), {4, 0, 1, 2, 3}));
    EXPECT_EQ(on_disk(4).recovery_offset, reached);
    ASSERT_TRUE(written_to(array_->mark_clean(), {0, 1, 2, 3, 4}));
    const auto half = restart();
    ASSERT_TRUE(half) << half.error().what;
    ASSERT_TRUE(half->replacement);
    EXPECT_EQ(half->replacement->sectors, reached);
    EXPECT_TRUE(half->clean);
    EXPECT_FALSE(half->degraded());
}

TEST_F(MdReplace, AtItsEndTheOldMembersNumberIsFaulty) {
    begin();
    reach();
    const uint64_t events = array_->events();
    const block old = disks_[1];
    EXPECT_TRUE(written_to(array_->replacement_finished(), {4, 0, 2, 3}));
    EXPECT_EQ(disks_[1], old) << "its superblock stays behind";
    EXPECT_FALSE(array_->replacement());
    ASSERT_TRUE(array_->member(role));
    EXPECT_EQ(array_->member(role)->device_uuid, own_.device_uuid);
    for (const size_t i : {0, 2, 3, 4}) {
        EXPECT_EQ(on_disk(i).events, events + 1);
        EXPECT_EQ(on_disk(i).role_of(1), md::role_faulty);
        EXPECT_EQ(on_disk(i).role_of(4), role);
    }
    EXPECT_EQ(on_disk(4).feature_map & (md::feature_recovery_offset | md::feature_replacement), 0U);
    change_places();
    ASSERT_TRUE(written_to(array_->mark_clean(), {0, 1, 2, 3}));
    const auto plan = restart();
    ASSERT_TRUE(plan) << plan.error().what;
    EXPECT_EQ(path_of(*plan, role), "d4");
    EXPECT_FALSE(plan->degraded());
    EXPECT_EQ(plan->excluded.size(), 1U);
    EXPECT_EQ(plan->excluded[0].path, "d1");
    // And once more: the numbers differ.
    auto next = md::make_spare(*array_->member(0), device_sectors, {});
    ASSERT_TRUE(next);
    EXPECT_EQ(next->dev_number, 5U);
}

// However far the writes came: healthy, with the old members, and nothing of it believed.
// So it is where a successor does without it, and is cut off as well.
TEST_F(MdReplace, CutOffWhereItBeginsTheArrayIsWhole) {
    for (int play = 0; play < 2 * 6 * 6; play++) {
        const bool idle = play % 2 == 1;
        const int cut = play / 2 % 6, later = play / 12;
        const std::string where = fmt::format("idle {}, cut after {} and {}", idle, cut, later);
        SetUp();
        if (idle) {
            ASSERT_TRUE(array_->mark_clean());
        }
        writes_left_ = cut;
        (void)array_->begin_replacement(role, own_);
        writes_left_ = -1;
        auto made = restart();
        ASSERT_TRUE(made) << where << ": " << made.error().what;
        EXPECT_EQ(made->replacement.has_value(), cut > 0) << where;
        for (int round = 0; round < 2; round++) {
            EXPECT_TRUE(made->missing.empty()) << where;
            EXPECT_EQ(path_of(*made, role), "d1") << where;
            EXPECT_EQ(made->replacement ? made->replacement->sectors : 0, 0U) << where;
            auto without = restart({4});
            ASSERT_TRUE(without) << where;
            array_metadata successor = open(*without);
            writes_left_ = later;
            (void)successor.mark_dirty();
            writes_left_ = -1;
            made = restart();
            ASSERT_TRUE(made) << where << ": " << made.error().what;
        }
    }
}

// A whole copy, or the member: whatever was written, and whichever disks are there.
TEST_F(MdReplace, CutOffAtItsEndOneOfTheTwoIsTheMember) {
    for (int play = 0; play < 2 * 5; play++) {
        const bool idle = play % 2 == 1;
        const int cut = play / 2;
        const std::string where = fmt::format("idle {}, cut after {}", idle, cut);
        SetUp();
        begin();
        reach();
        if (idle) {
            ASSERT_TRUE(array_->mark_clean());
        }
        writes_left_ = cut;
        (void)array_->replacement_finished();
        writes_left_ = -1;
        const auto all = restart();
        ASSERT_TRUE(all) << where << ": " << all.error().what;
        EXPECT_FALSE(all->degraded()) << where;
        EXPECT_EQ(path_of(*all, role), cut == 0 ? "d1" : "d4") << where;
        EXPECT_EQ(all->replacement.has_value(), cut == 0) << where;
        if (cut > 0) {
            const auto without_old = restart({1});
            ASSERT_TRUE(without_old) << where;
            EXPECT_EQ(path_of(*without_old, role), "d4") << where;
            EXPECT_FALSE(without_old->degraded()) << where;
        }
        const auto without_new = restart({4}, true, true);
        ASSERT_TRUE(without_new) << where;
        EXPECT_EQ(path_of(*without_new, role), cut < 2 ? "d1" : "-") << where;
        // Whoever goes on from there ends with all of them agreeing.
        array_metadata successor = open(*all);
        ASSERT_TRUE(successor.mark_dirty()) << where;
        ASSERT_TRUE(successor.mark_clean()) << where;
        const auto last = restart();
        ASSERT_TRUE(last) << where << ": " << last.error().what;
        EXPECT_EQ(path_of(*last, role), cut == 0 ? "d1" : "d4") << where;
    }
}

// The new disk alone knows of its end, and is not there at the next start: the old one is
// served. It must not be believed when it is there again.
TEST_F(MdReplace, AnEndThatOnlyTheNewDiskKnowsOfIsNotBelievedLater) {
    for (int later = 0; later <= 8; later++) {
        SetUp();
        begin();
        reach();
        writes_left_ = 1;
        (void)array_->replacement_finished();
        writes_left_ = -1;
        const auto without = restart({4});
        ASSERT_TRUE(without) << without.error().what;
        array_metadata successor = open(*without);
        writes_left_ = later;
        (void)successor.mark_dirty();
        (void)successor.mark_clean();
        writes_left_ = -1;
        if (later == 0)
            continue;  // nothing was served
        const auto made = restart();
        // Two that are as fresh: nobody is believed.
        if (!made) {
            EXPECT_EQ(made.error().err, EINVAL) << later << made.error().what;
            continue;
        }
        EXPECT_EQ(path_of(*made, role), later < 4 ? "d4" : "d1") << later;
        EXPECT_FALSE(made->replacement) << later;
    }
}

TEST_F(MdReplace, CutOffInACheckpointItCameAsFarAsItSays) {
    for (int cut = 0; cut <= 5; cut++) {
        SetUp();
        begin();
        ASSERT_TRUE(array_->mark_clean());
        reach();
        writes_left_ = cut;
        (void)array_->replacement_reached(2 * reached);
        writes_left_ = -1;
        const auto made = restart();
        ASSERT_TRUE(made) << cut << ": " << made.error().what;
        ASSERT_TRUE(made->replacement) << cut;
        EXPECT_EQ(made->replacement->sectors, cut > 0 ? 2 * reached : reached) << cut;
        // The old one is not here: it is as a rebuild that came so far.
        const auto as_rebuild = restart({1}, true);
        ASSERT_TRUE(as_rebuild) << cut;
        EXPECT_EQ(as_rebuild->rebuilding->sectors, cut > 0 ? 2 * reached : reached) << cut;
    }
}

TEST_F(MdReplace, ADeviceThatTakesNoSuperblockNeverCame) {
    broken_ = {4};
    const uint64_t events = array_->events();
    EXPECT_EQ(array_->begin_replacement(role, own_).error().err, EIO);
    EXPECT_FALSE(array_->replacement());
    EXPECT_EQ(array_->events(), events) << "or the others would be two behind";
    EXPECT_TRUE(written_to(array_->mark_clean(), {0, 1, 2, 3}));
    EXPECT_EQ(on_disk(0).role_of(4), md::role_spare);
}

TEST_F(MdReplace, WhereItsOwnSuperblockFailsAtTheEndAllIsAsBefore) {
    begin();
    reach();
    broken_ = {4};
    const md_superblock before = *array_->replacement();
    EXPECT_EQ(array_->replacement_finished().error().err, EIO);
    ASSERT_TRUE(array_->replacement());
    EXPECT_EQ(array_->replacement()->feature_map, before.feature_map);
    EXPECT_EQ(array_->replacement()->recovery_offset, reached);
    EXPECT_EQ(array_->member(0)->role_of(1), role);
    EXPECT_TRUE(written_to(array_->end_replacement(true), {0, 1, 2, 3}));
    const auto plan = restart();
    ASSERT_TRUE(plan) << plan.error().what;
    EXPECT_EQ(path_of(*plan, role), "d1");
    EXPECT_FALSE(plan->replacement);
    EXPECT_FALSE(plan->degraded());
}

// That one is out; the new device has the role all the same.
TEST_F(MdReplace, AMemberThatTakesNoSuperblockAtTheEndIsTheOneThatIsLost) {
    begin();
    reach();
    broken_ = {2};
    const auto report = array_->replacement_finished();
    ASSERT_TRUE(report);
    EXPECT_EQ(report->written, (std::vector<uint32_t>{4, 0, 3}));
    ASSERT_EQ(report->failed.size(), 1U);
    EXPECT_EQ(report->failed[0].role, 2U);
    change_places();
    EXPECT_TRUE(written_to(array_->mark_failed(2), {0, 1, 3}));
    ASSERT_TRUE(array_->mark_clean());
    const auto plan = restart();
    ASSERT_TRUE(plan) << plan.error().what;
    EXPECT_EQ(path_of(*plan, role), "d4");
    EXPECT_EQ(plan->missing, std::vector<uint32_t>{2});
}

TEST_F(MdReplace, LateSuperblocksComeBeforeTheEnd) {
    begin();
    broken_ = {2};
    ASSERT_FALSE(array_->replacement_reached(reached)->complete());
    EXPECT_EQ(array_->replacement_finished().error().err, EAGAIN);
    broken_.clear();
    EXPECT_TRUE(array_->replacement());
    ASSERT_TRUE(array_->replacement_reached(reached));
    EXPECT_TRUE(written_to(array_->replacement_finished(), {4, 0, 2, 3}));
}

// The replacement is late: that one write is finished before the next begins.
TEST_F(MdReplace, ItsOwnLateSuperblockIsNotTwoBehind) {
    begin();
    reach();
    broken_ = {4};
    const auto report = array_->mark_clean();
    ASSERT_TRUE(report);
    ASSERT_EQ(report->failed.size(), 1U);
    EXPECT_EQ(report->failed[0].role, index);
    broken_.clear();
    order_.clear();
    ASSERT_TRUE(array_->mark_dirty());
    EXPECT_EQ(order_.front(), 4U);
    EXPECT_EQ(on_disk(4).events, array_->events());
    // Given up, it is written no more.
    broken_ = {4};
    ASSERT_FALSE(array_->mark_clean()->complete());
    broken_.clear();
    order_.clear();
    EXPECT_TRUE(written_to(array_->end_replacement(true), {0, 1, 2, 3}));
    EXPECT_EQ(std::ranges::count(order_, 4U), 0);
    EXPECT_TRUE(restart());
}

TEST_F(MdReplace, GivenUpItIsASpareOrFaulty) {
    for (const bool failed : {false, true}) {
        SetUp();
        begin();
        reach();
        const block left = disks_[4];
        EXPECT_TRUE(written_to(array_->end_replacement(failed), {0, 1, 2, 3}));
        EXPECT_EQ(disks_[4], left);
        EXPECT_EQ(on_disk(0).role_of(4), failed ? md::role_faulty : md::role_spare);
        EXPECT_EQ(array_->end_replacement(failed).error().err, EINVAL);
        EXPECT_EQ(array_->replacement_finished().error().err, EINVAL);
        EXPECT_EQ(array_->replacement_reached(8).error().err, EINVAL);
        // One event behind, it says that it is one.
        const auto plan = restart();
        ASSERT_TRUE(plan) << plan.error().what;
        EXPECT_FALSE(plan->replacement);
        EXPECT_EQ(path_of(*plan, role), "d1");
        // Nor where its member is lost then.
        const auto degraded = restart({1}, true, true);
        ASSERT_TRUE(degraded);
        EXPECT_EQ(path_of(*degraded, role), "-") << "it lacks what was written since";
        EXPECT_FALSE(md::make_returning(*array_->member(0), on_disk(4), device_sectors, {}));
    }
}

TEST_F(MdReplace, AMemberThatFailsEndsIt) {
    for (const uint32_t lost : {role, 2U}) {
        SetUp();
        begin();
        reach();
        ASSERT_TRUE(array_->mark_failed(lost));
        EXPECT_FALSE(array_->replacement());
        EXPECT_EQ(on_disk(0).role_of(4), md::role_spare);
        EXPECT_EQ(on_disk(0).role_of(lost), md::role_faulty);
        const auto plan = restart({}, true, true);
        ASSERT_TRUE(plan) << plan.error().what;
        EXPECT_EQ(plan->missing, std::vector<uint32_t>{lost});
        EXPECT_FALSE(plan->replacement);
        EXPECT_FALSE(plan->rebuilding);
    }
}

TEST_F(MdReplace, OneThatIsNotHereAtAStartIsForgotten) {
    begin();
    reach();
    ASSERT_TRUE(array_->mark_clean());
    const auto without = restart({4});
    ASSERT_TRUE(without) << without.error().what;
    array_metadata successor = open(*without);
    for (uint32_t r = 0; r < count; r++)
        EXPECT_EQ(successor.member(r)->role_of(4), md::role_spare);
    // Cut off in its first marks it comes back as old as it was.
    for (int cut = 1; cut <= 4; cut++) {
        const std::vector<block> before = disks_;
        array_metadata again = open(*without);
        writes_left_ = cut;
        (void)again.mark_dirty();
        writes_left_ = -1;
        const auto made = restart();
        ASSERT_TRUE(made) << cut << ": " << made.error().what;
        EXPECT_FALSE(made->replacement) << cut << ": writes may have gone by it";
        EXPECT_EQ(path_of(*made, role), "d1") << cut;
        disks_ = before;
    }
}

// It has its member's place then; the old one has no role any more.
TEST_F(MdReplace, OneThatIsSeatedAsARebuildIsTheOnlyOneOfItsRole) {
    begin();
    reach();
    ASSERT_TRUE(array_->mark_clean());
    const auto made = restart({1}, true);
    ASSERT_TRUE(made) << made.error().what;
    ASSERT_TRUE(made->rebuilding);
    array_metadata successor = open(*made);
    ASSERT_TRUE(successor.mark_dirty());
    EXPECT_EQ(on_disk(4).role(), role);
    EXPECT_FALSE(on_disk(4).has(md::feature_replacement));
    EXPECT_EQ(on_disk(0).role_of(1), md::role_spare);
    const auto both = restart({}, true, true);
    ASSERT_TRUE(both) << both.error().what;
    EXPECT_EQ(path_of(*both, role), "d4") << "the old one lacks what was written since";
    ASSERT_TRUE(successor.rebuild_finished(role));
    ASSERT_TRUE(successor.mark_clean());
    EXPECT_EQ(path_of(*restart(), role), "d4");
    EXPECT_FALSE(restart()->degraded());
}

TEST_F(MdReplace, WhatCannotBeginDoesNot) {
    EXPECT_EQ(array_->begin_replacement(count, own_).error().err, EINVAL);
    md_superblock taken = own_;
    taken.dev_number = 2;
    EXPECT_EQ(array_->begin_replacement(role, taken).error().err, EEXIST);
    begin();
    taken.dev_number = 5;
    EXPECT_EQ(array_->begin_replacement(2, taken).error().err, EEXIST) << "one at a time";
    ASSERT_TRUE(array_->mark_failed(2));
    EXPECT_EQ(array_->begin_replacement(2, own_).error().err, EINVAL) << "it is not there";
}

TEST_F(MdReplace, ABitmapIsInItsSuperblockAsWell) {
    begin();
    ASSERT_TRUE(array_->set_consistency(md::consistency::bitmap));
    EXPECT_TRUE(on_disk(4).has(md::feature_bitmap));
    EXPECT_EQ(on_disk(4).log_place, 8);
    ASSERT_TRUE(array_->set_consistency(md::consistency::resync));
    EXPECT_FALSE(on_disk(4).has(md::feature_bitmap));
    EXPECT_EQ(on_disk(4).log_place, 0);
}

// The index behind fifteen roles is the last one that there is; behind sixteen there is none.
TEST(MdReplaceMost, FifteenMembersHaveRoomForOneAndSixteenHaveNone) {
    for (const uint32_t members : {RR_MEMBERS_MAX - 1, RR_MEMBERS_MAX + 0}) {
        md::new_array spec = four_members();
        spec.member_sectors.assign(members, device_sectors);
        std::map<uint32_t, md_superblock> disk;
        array_metadata array(state_of(spec), [&](uint32_t to, const md_superblock& sb) -> Status {
            disk[to] = sb;
            return {};
        });
        ASSERT_TRUE(array.mark_dirty());
        auto own = md::make_spare(*array.member(0), device_sectors, {});
        ASSERT_TRUE(own);
        const auto begun = array.begin_replacement(3, *own);
        if (members == RR_MEMBERS_MAX) {
            EXPECT_EQ(begun.error().err, EINVAL);
            continue;
        }
        ASSERT_TRUE(begun);
        EXPECT_EQ(disk[members].role(), 3U);
        ASSERT_TRUE(array.replacement_finished());
        EXPECT_EQ(array.member(3)->dev_number, members);
    }
}

}  // namespace
}  // namespace rr::test
