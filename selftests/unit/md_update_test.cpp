// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Changes of metadata on files that stand for members: what each change
// writes, and what assembly makes of every crash in the middle of one.
#include "md/assemble.h"
#include "md/update.h"
#include "md_helpers.h"

namespace rr::test {
namespace {

using md::array_metadata;
using md::md_superblock;
using md::update_report;

// Four members on files, and a switch for failing or dying writes.
class MdUpdate : public testing::Test {
protected:
    void SetUp() override {
        const auto made = must_make(four_members());
        paths_.clear();
        fds_.clear();
        for (uint32_t role = 0; role < 4; role++) {
            paths_.push_back(dir_.file(fmt::format("m{}", role), 131072));
            fds_.push_back(open_file(paths_.back()));
            ASSERT_TRUE(md::write_superblock(fds_.back().get(), made[role]));
        }
    }

    [[nodiscard]] std::vector<md::candidate> candidates() const {
        std::vector<md::candidate> all;
        for (uint32_t role = 0; role < 4; role++)
            all.push_back({paths_[role], 131072, md::read_superblock(fds_[role].get())});
        return all;
    }

    // As the next start sees the files; @absent is not plugged in, and not waited for.
    [[nodiscard]] Result<md::assembly_plan> restart(int absent = -1, bool force = false) const {
        auto all = candidates();
        if (absent >= 0)
            all.erase(all.begin() + absent);
        return md::plan_assembly(all, {{}, {}, force, true});
    }

    [[nodiscard]] array_metadata open(const md::assembly_plan& plan) {
        array_metadata::state state;
        for (const auto& member : plan.members)
            state.members.push_back(member ? std::optional(member->superblock) : std::nullopt);
        state.features_to_clear = plan.features_to_clear;
        state.needs_resync = plan.needs_resync;
        for (uint32_t role = 0; role < 4; role++)
            state.events_found.push_back(on_disk(role).events);
        return array_metadata(state, [this](uint32_t role, const md_superblock& sb) -> Status {
            if (writes_left_ == 0 || broken_ == static_cast<int>(role) ||
                broken_too_ == static_cast<int>(role))
                return fail(EIO, "planted");
            if (writes_left_ > 0)
                writes_left_--;
            return md::write_superblock(fds_[role].get(), sb);
        });
    }
    [[nodiscard]] array_metadata open() { return open(restart().value()); }

    [[nodiscard]] md_superblock on_disk(uint32_t role) const {
        return md::read_superblock(fds_[role].get()).value();
    }

    void change_on_disk(const std::function<void(md_superblock&)>& change) {
        for (const auto& fd : fds_) {
            auto sb = md::read_superblock(fd.get()).value();
            change(sb);
            ASSERT_TRUE(md::write_superblock(fd.get(), sb));
        }
    }

    scratch_dir dir_;
    std::vector<std::string> paths_;
    std::vector<Fd> fds_;
    int writes_left_ = -1;  // the host dies after so many; negative: never
    int broken_ = -1;       // role whose metadata cannot be written
    int broken_too_ = -1;   // another one
};

bool written_to(const Result<update_report>& report, const std::vector<uint32_t>& roles) {
    return report && report->written == roles;
}

TEST_F(MdUpdate, DirtyAndCleanAreOnEveryMemberWithMoreEvents) {
    auto array = open();
    const uint64_t start = array.events();
    const auto dirty = array.mark_dirty();
    EXPECT_TRUE(written_to(dirty, {0, 1, 2, 3}));
    EXPECT_EQ(dirty->events, start + 1);
    for (uint32_t role = 0; role < 4; role++) {
        EXPECT_EQ(on_disk(role).resync_offset, 0U);
        EXPECT_EQ(on_disk(role).events, start + 1);
        EXPECT_GE(on_disk(role).utime & 0xffffffffff, md::md_time_now() % (1ULL << 40) - 60);
        EXPECT_EQ(examine(paths_[role]).at("State"), "active");
    }
    EXPECT_TRUE(written_to(array.mark_clean(), {0, 1, 2, 3}));
    for (uint32_t role = 0; role < 4; role++) {
        EXPECT_TRUE(on_disk(role).clean());
        EXPECT_EQ(on_disk(role).events, start + 2);
        EXPECT_EQ(examine(paths_[role]).at("State"), "clean");
    }
}

TEST_F(MdUpdate, ABitmapThatWasGivenUpMayBeMadeAnew) {
    change_on_disk([](md_superblock& sb) {
        sb.feature_map |= md::feature_bitmap;
        sb.log_place = 8;
    });
    auto plan = restart().value();
    plan.features_to_clear |= md::feature_bitmap;
    auto array = open(plan);
    ASSERT_TRUE(array.mark_dirty());
    EXPECT_EQ(on_disk(2).feature_map & md::feature_bitmap, 0U);
    ASSERT_TRUE(array.set_consistency(md::consistency::bitmap));
    EXPECT_NE(on_disk(2).feature_map & md::feature_bitmap, 0U);
    EXPECT_EQ(on_disk(2).log_place, 8);
    ASSERT_TRUE(array.mark_clean());
    EXPECT_NE(on_disk(2).feature_map & md::feature_bitmap, 0U);
}

TEST_F(MdUpdate, AnArrayHasALogOrABitmapOrNeither) {
    auto array = open();
    struct {
        md::consistency policy;
        uint32_t features;
        int32_t place;
    } const steps[] = {{md::consistency::ppl, md::feature_ppl, 8 | 2048 << 16},
                       {md::consistency::bitmap, md::feature_bitmap, 8},
                       {md::consistency::ppl, md::feature_ppl, 8 | 2048 << 16},
                       {md::consistency::resync, 0, 0}};
    for (const auto& step : steps) {
        ASSERT_TRUE(array.set_consistency(step.policy));
        for (uint32_t role = 0; role < 4; role++) {
            EXPECT_EQ(on_disk(role).feature_map, step.features) << to_string(step.policy);
            EXPECT_EQ(on_disk(role).log_place, step.place);
            EXPECT_EQ(md::consistency_of(on_disk(role)), step.policy);
        }
    }
    ASSERT_TRUE(array.set_consistency(md::consistency::ppl));
    EXPECT_EQ(examine(paths_[2]).at("PPL"), "2048 sectors at offset 8 sectors from superblock");
}

TEST_F(MdUpdate, WithoutRoomForALogOnOneMemberAllStayAsTheyAre) {
    auto plan = restart().value();
    plan.members[1]->superblock.bblog_offset = 8 + 64;
    plan.members[1]->superblock.bblog_sectors =
        static_cast<uint16_t>(plan.members[1]->superblock.data_offset - 16 - 64 - 200);
    auto array = open(plan);
    const auto refused = array.set_consistency(md::consistency::ppl);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().err, ENOSPC);
    EXPECT_FALSE(refused.error().hint.empty());
    ASSERT_TRUE(array.mark_dirty());
    EXPECT_EQ(on_disk(0).feature_map, 0U);
}

TEST_F(MdUpdate, RepeatedMarksWriteOnce) {
    auto array = open();
    EXPECT_TRUE(written_to(array.mark_dirty(), {0, 1, 2, 3}));
    EXPECT_TRUE(written_to(array.mark_dirty(), {}));
    EXPECT_TRUE(written_to(array.mark_clean(), {0, 1, 2, 3}));
    EXPECT_TRUE(written_to(array.mark_clean(), {}));
    EXPECT_TRUE(written_to(array.mark_dirty(), {0, 1, 2, 3}));
}

TEST_F(MdUpdate, CorrectedReadsGoWithTheNextMark) {
    change_on_disk([](auto& sb) { sb.corrected_reads = 16; });
    auto array = open();
    EXPECT_TRUE(array.mark_dirty());
    EXPECT_TRUE(array.mark_clean());
    array.reads_corrected(2, 8);
    array.reads_corrected(2, 24);
    array.reads_corrected(1, 0);
    EXPECT_EQ(on_disk(2).corrected_reads, 16U) << "not written for its own sake";
    EXPECT_TRUE(written_to(array.mark_clean(), {0, 1, 2, 3})) << "or a stop would lose it";
    EXPECT_TRUE(written_to(array.mark_clean(), {}));
    EXPECT_EQ(on_disk(2).corrected_reads, 48U);
    EXPECT_EQ(on_disk(1).corrected_reads, 16U);
    EXPECT_TRUE(restart()->clean);
    array.reads_corrected(2, 0xffffffff);
    EXPECT_TRUE(array.mark_dirty());
    EXPECT_EQ(on_disk(2).corrected_reads, 0xffffffff) << "and it does not begin anew";
    EXPECT_TRUE(array.mark_failed(2));
    array.reads_corrected(2, 8);
    EXPECT_EQ(on_disk(2).corrected_reads, 0xffffffff);
}

TEST_F(MdUpdate, TheFirstMarkIsWrittenEvenIfTheDiskSaysSo) {
    change_on_disk([](auto& sb) { sb.resync_offset = 0; });
    auto array = open();
    EXPECT_TRUE(array.needs_resync());
    EXPECT_TRUE(written_to(array.mark_dirty(), {0, 1, 2, 3}));
}

TEST_F(MdUpdate, NoCleanBeforeTheResyncIsDone) {
    change_on_disk([](auto& sb) { sb.resync_offset = 0; });
    auto array = open();
    EXPECT_TRUE(array.mark_clean());
    EXPECT_TRUE(restart()->needs_resync);
    EXPECT_EQ(restart()->resync_from, 0U);
    EXPECT_TRUE(array.mark_dirty());
    array.resync_reached(4096);
    EXPECT_TRUE(array.mark_clean());
    EXPECT_TRUE(restart()->needs_resync);
    EXPECT_EQ(restart()->resync_from, 4096U) << "nothing was in flight: it goes on there";
    EXPECT_TRUE(array.mark_dirty());
    EXPECT_EQ(restart()->resync_from, 0U) << "and here anything may have been";
    array.resync_finished();
    EXPECT_TRUE(array.mark_clean());
    EXPECT_TRUE(restart()->clean);
}

TEST_F(MdUpdate, AFailedMemberIsFaultyOnAllOthersAndNotWritten) {
    auto array = open();
    ASSERT_TRUE(array.mark_dirty());
    const auto before = on_disk(2);
    EXPECT_TRUE(written_to(array.mark_failed(2), {0, 1, 3}));
    EXPECT_EQ(md::serialize(on_disk(2)), md::serialize(before));
    for (const uint32_t role : {0U, 1U, 3U}) {
        EXPECT_EQ(on_disk(role).role_of(2), md::role_faulty);
        EXPECT_EQ(on_disk(role).events, before.events + 1);
        EXPECT_EQ(on_disk(role).resync_offset, 0U) << "it was dirty and stays so";
        EXPECT_EQ(examine(paths_[role]).at("Array State").substr(0, 4), "AA.A");
    }
    // Its own superblock still says that all is well; one event decides.
    const auto plan = restart(-1, true);
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->missing, std::vector<uint32_t>{2});
    ASSERT_EQ(plan->excluded.size(), 1U);
    EXPECT_EQ(plan->excluded[0].why, md::exclusion::faulty);
    EXPECT_TRUE(written_to(array.mark_failed(2), {})) << "durable already";
    EXPECT_TRUE(written_to(array.mark_clean(), {0, 1, 3}));
    EXPECT_TRUE(restart());
}

TEST_F(MdUpdate, AFailureOfAnIdleArrayLeavesItClean) {
    auto array = open();
    EXPECT_TRUE(written_to(array.mark_failed(0), {1, 2, 3}));
    const auto plan = restart();
    ASSERT_TRUE(plan);
    EXPECT_TRUE(plan->clean);
    EXPECT_EQ(plan->missing, std::vector<uint32_t>{0});
    EXPECT_TRUE(written_to(array.mark_dirty(), {1, 2, 3}));
}

TEST_F(MdUpdate, EveryNumberWithTheRoleBecomesFaulty) {
    // Member 2 has number 5, as after a rebuild; its old number is a spare.
    auto sb = on_disk(2);
    sb.dev_number = 5;
    ASSERT_TRUE(md::write_superblock(fds_[2].get(), sb));
    change_on_disk([](auto& s) {
        s.dev_roles[2] = md::role_spare;
        s.dev_roles[5] = 2;
    });
    auto array = open();
    ASSERT_TRUE(array.mark_failed(2));
    EXPECT_EQ(on_disk(0).role_of(5), md::role_faulty);
    EXPECT_EQ(on_disk(0).role_of(2), md::role_spare);
}

TEST_F(MdUpdate, AMemberAbsentAtTheStartIsFaultyWithTheFirstWrite) {
    auto array = open(restart(1).value());
    EXPECT_TRUE(written_to(array.mark_dirty(), {0, 2, 3}));
    // It comes back one event behind, in good standing by its own account.
    ASSERT_EQ(on_disk(1).events + 1, on_disk(0).events);
    const auto plan = restart(-1, true);
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->missing, std::vector<uint32_t>{1});
    ASSERT_EQ(plan->excluded.size(), 1U);
    EXPECT_EQ(plan->excluded[0].why, md::exclusion::faulty);
}

TEST_F(MdUpdate, AFailureOfAMemberAbsentAtTheStartIsMadeDurable) {
    auto array = open(restart(1).value());
    EXPECT_TRUE(written_to(array.mark_failed(1), {0, 2, 3}));
    EXPECT_EQ(on_disk(0).role_of(1), md::role_faulty);
}

TEST_F(MdUpdate, ASurvivorThatCannotBeWrittenIsReportedAndTheOthersAreNotLeftOut) {
    auto array = open();
    ASSERT_TRUE(array.mark_dirty());
    broken_ = 1;
    const auto report = array.mark_failed(3);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->written, (std::vector<uint32_t>{0, 2}));
    ASSERT_EQ(report->failed.size(), 1U);
    EXPECT_EQ(report->failed[0].role, 1U);
    EXPECT_EQ(report->failed[0].error.err, EIO);
    EXPECT_FALSE(report->complete());
    EXPECT_EQ(restart(-1, true)->missing, std::vector<uint32_t>{3});
}

TEST_F(MdUpdate, AnIncompleteMarkIsRepeated) {
    auto array = open();
    broken_ = 3;
    EXPECT_FALSE(array.mark_dirty()->complete());
    broken_ = -1;
    EXPECT_TRUE(written_to(array.mark_dirty(), {0, 1, 2, 3}));
    EXPECT_EQ(on_disk(3).events, on_disk(0).events);
}

TEST_F(MdUpdate, MisuseIsAnError) {
    auto array = open();
    EXPECT_EQ(array.mark_failed(4).error().err, EINVAL);
    for (uint32_t role = 0; role < 3; role++)
        EXPECT_TRUE(array.mark_failed(role));
    EXPECT_EQ(array.mark_failed(3).error().err, ENODEV);
    EXPECT_EQ(array.mark_dirty().error().err, ENODEV);
}

TEST_F(MdUpdate, FeaturesThatWeDoNotMaintainAreClearedWithTheFirstWrite) {
    change_on_disk([](auto& sb) {
        sb.feature_map = md::feature_ppl;
        sb.log_place = 8 | 2048 << 16;
    });
    auto array = open();
    EXPECT_EQ(on_disk(0).feature_map, md::feature_ppl) << "not before";
    ASSERT_TRUE(array.mark_dirty());
    for (uint32_t role = 0; role < 4; role++) {
        EXPECT_EQ(on_disk(role).feature_map, 0U);
        EXPECT_EQ(on_disk(role).log_place, 0);
    }
}

TEST_F(MdUpdate, WriteToUsesTheDescriptorOfTheRole) {
    const auto sb = on_disk(1);
    const auto write = md::write_to({fds_[0].get(), fds_[1].get(), fds_[2].get(), fds_[3].get()});
    ASSERT_TRUE(write(2, sb));
    EXPECT_EQ(on_disk(2).device_uuid, sb.device_uuid);
    EXPECT_NE(on_disk(0).device_uuid, sb.device_uuid);
}

// --- Crashes.

TEST_F(MdUpdate, ADirtyMarkCutAnywhereIsCleanBeforeItsFirstWriteAndDirtyAfter) {
    for (int cut = 0; cut <= 4; cut++) {
        writes_left_ = -1;
        auto array = open();
        array.resync_finished();
        ASSERT_TRUE(array.mark_clean());
        writes_left_ = cut;
        const auto report = array.mark_dirty();
        EXPECT_EQ(report->complete(), cut == 4);
        const auto plan = restart();
        ASSERT_TRUE(plan) << cut;
        EXPECT_TRUE(plan->missing.empty()) << cut;
        EXPECT_EQ(plan->needs_resync, cut > 0) << cut;
    }
}

TEST_F(MdUpdate, ACleanMarkCutAnywhereNeverLosesAMember) {
    for (int cut = 0; cut <= 4; cut++) {
        writes_left_ = -1;
        auto array = open();
        array.resync_finished();
        ASSERT_TRUE(array.mark_dirty());
        writes_left_ = cut;
        ASSERT_TRUE(array.mark_clean());
        const auto plan = restart();
        ASSERT_TRUE(plan) << cut;
        EXPECT_TRUE(plan->missing.empty()) << cut;
        EXPECT_EQ(plan->clean, cut > 0) << cut;
    }
}

// Power is lost again in the start that follows.
TEST_F(MdUpdate, MarksCutOffOneAfterTheOtherNeverLoseAMember) {
    for (int first = 1; first < 4; first++) {
        for (int second = 1; second < 4; second++) {
            writes_left_ = -1;
            array_metadata stopping = open();
            ASSERT_TRUE(stopping.mark_dirty());
            stopping.resync_finished();
            writes_left_ = first;
            ASSERT_EQ(stopping.mark_clean().value().written.size(), static_cast<size_t>(first));
            writes_left_ = -1;
            array_metadata starting = open();
            writes_left_ = second;
            (void)starting.mark_dirty();
            auto plan = restart();
            ASSERT_TRUE(plan) << first << " " << second;
            EXPECT_TRUE(plan->missing.empty()) << first << " " << second;
        }
    }
}

// And the last member does not come to that start.
TEST_F(MdUpdate, AMarkCutOffAndAMemberMissingLeaveTheOthersInAgreement) {
    for (int writes = 1; writes < 5; writes++) {
        writes_left_ = -1;
        SetUp();
        array_metadata stopping = open();
        ASSERT_TRUE(stopping.mark_dirty());
        stopping.resync_finished();
        writes_left_ = 1;
        (void)stopping.mark_clean();
        writes_left_ = -1;
        array_metadata starting = open(restart(3).value());
        writes_left_ = writes;
        (void)starting.mark_dirty();
        auto plan = restart(3, true);
        ASSERT_TRUE(plan) << writes << ": " << plan.error().what;
        EXPECT_EQ(plan->missing, std::vector<uint32_t>{3}) << writes;
    }
}

// A service manager tries to start an array again and again, half of which takes no writes.
TEST_F(MdUpdate, TwoThatTakeNoSuperblocksAreNotLeftTooFarBehind) {
    broken_ = 1;
    broken_too_ = 2;
    for (int start = 0; start < 3; start++) {
        array_metadata array = open();
        const auto report = array.mark_dirty();
        EXPECT_EQ(report.value().failed.size(), 2U);
        const auto again = array.mark_clean();
        EXPECT_EQ(again.value().failed.size(), 2U) << "in one life, too";
        EXPECT_TRUE(again->written.empty());
    }
    broken_ = broken_too_ = -1;
    auto plan = restart();
    ASSERT_TRUE(plan) << plan.error().what;
    EXPECT_TRUE(plan->missing.empty());
}

TEST_F(MdUpdate, AFailureCutAnywhereIsKnownFromItsFirstWriteOn) {
    const auto fresh = candidates();
    for (int cut = 0; cut <= 3; cut++) {
        for (uint32_t role = 0; role < 4; role++)
            ASSERT_TRUE(md::write_superblock(fds_[role].get(), *fresh[role].superblock));
        writes_left_ = -1;
        auto array = open();
        ASSERT_TRUE(array.mark_dirty());
        writes_left_ = cut;
        const auto report = array.mark_failed(1);
        EXPECT_EQ(report->complete(), cut == 3);
        const auto plan = restart(-1, true);
        ASSERT_TRUE(plan) << cut;
        EXPECT_EQ(plan->missing.size(), cut > 0 ? 1U : 0U) << cut;
        // Without force, dirty and degraded never start by themselves.
        EXPECT_EQ(restart().has_value(), cut == 0) << cut;
    }
}

TEST_F(MdUpdate, ATornSuperblockLeavesTheOthersAlone) {
    auto array = open();
    for (uint32_t torn = 0; torn < 4; torn++) {
        ASSERT_TRUE(array.mark_dirty());
        ASSERT_TRUE(array.mark_clean());
        const auto whole = md::serialize(on_disk(torn));
        const uint8_t garbage[256] = {1, 2, 3};
        ASSERT_EQ(::pwrite(fds_[torn].get(), garbage, sizeof garbage, 4096 + 128), 256);
        const auto plan = restart();
        ASSERT_TRUE(plan);
        EXPECT_EQ(plan->missing, std::vector<uint32_t>{torn});
        ASSERT_EQ(::pwrite(fds_[torn].get(), whole.data(), whole.size(), 4096), 4096);
    }
}

// --- A device takes the place of one that failed.

class MdRebuild : public MdUpdate {
protected:
    void SetUp() override {
        MdUpdate::SetUp();
        array_.emplace(open());
        ASSERT_TRUE(array_->mark_dirty());
        ASSERT_TRUE(array_->mark_failed(1));
        // The new disk has the file of the old one.
        auto own = md::make_spare(*array_->member(0), 131072, {});
        ASSERT_TRUE(own) << own.error().what;
        own_ = *own;
    }

    std::optional<array_metadata> array_;
    md_superblock own_;
};

TEST_F(MdRebuild, ASpareHasANumberOfItsOwnAndNoRole) {
    EXPECT_EQ(own_.dev_number, 4U);
    EXPECT_EQ(own_.role(), md::role_spare);
    EXPECT_NE(own_.device_uuid, array_->member(0)->device_uuid);
    EXPECT_EQ(md::make_spare(*array_->member(0), 131072, {4, 5})->dev_number, 6U);
    EXPECT_EQ(md::make_spare(*array_->member(0), own_.data_offset + own_.size - 1, {}).error().err,
              ENOSPC);
    EXPECT_TRUE(md::parse(md::serialize(own_)));
}

TEST_F(MdRebuild, ItsOwnSuperblockIsFirstAndTellsWhatIsThere) {
    EXPECT_TRUE(written_to(array_->begin_rebuild(1, own_), {1, 0, 2, 3}));
    EXPECT_EQ(on_disk(1).role(), 1U);
    EXPECT_EQ(on_disk(0).role_of(4), 1U);
    EXPECT_EQ(on_disk(0).role_of(1), md::role_faulty);
    ASSERT_TRUE(array_->rebuild_reached(1, 4096));
    ASSERT_TRUE(array_->mark_clean());
    auto half = restart();
    ASSERT_TRUE(half) << half.error().what;
    ASSERT_TRUE(half->rebuilding);
    EXPECT_EQ(half->rebuilding->sectors, 4096U);
    EXPECT_TRUE(half->clean);
    ASSERT_TRUE(array_->rebuild_finished(1));
    auto whole = restart();
    ASSERT_TRUE(whole);
    EXPECT_FALSE(whole->rebuilding);
    EXPECT_TRUE(whole->missing.empty());
    EXPECT_EQ(on_disk(0).role_of(1), md::role_spare) << "the number is free again";
}

// However far the writes came, nobody takes the empty disk for a member in sync.
TEST_F(MdRebuild, CutOffAnywhereTheNewDiskIsNotBelieved) {
    for (int writes = 0; writes <= 4; writes++) {
        SetUp();
        writes_left_ = writes;
        (void)array_->begin_rebuild(1, own_);
        writes_left_ = -1;
        const auto made = restart(-1, true);
        ASSERT_TRUE(made) << writes << ": " << made.error().what;
        EXPECT_EQ(made->missing, std::vector<uint32_t>{1}) << writes;
        if (made->rebuilding) {
            EXPECT_EQ(made->rebuilding->sectors, 0U);
        }
    }
}

// Nor where the daemon was killed there, its successor does without the disk, and the power
// fails while it writes its first superblocks. Two then tell different things of one event.
TEST_F(MdRebuild, CutOffAndTakenOverTheNewDiskIsNotBelieved) {
    for (int play = 0; play < 2 * 5 * 4; play++) {
        const bool idle = play % 2 == 1;
        const int writes = play / 2 % 5, later = play / 10;
        const std::string cut = fmt::format("idle {}, cut after {} and {}", idle, writes, later);
        SetUp();
        ASSERT_TRUE(idle ? array_->mark_clean() : array_->mark_dirty());
        writes_left_ = writes;
        (void)array_->begin_rebuild(1, own_);
        writes_left_ = -1;
        auto successor = open(restart(1, true).value());
        writes_left_ = later;
        (void)successor.mark_dirty();
        writes_left_ = -1;
        const auto made = restart(-1, true);
        ASSERT_TRUE(made) << cut << ": " << made.error().what;
        EXPECT_EQ(made->missing, std::vector<uint32_t>{1}) << cut;
        EXPECT_EQ(made->rebuilding ? made->rebuilding->sectors : 0, 0U) << cut;
        const auto unforced = restart();
        const bool clean = on_disk(0).clean() && on_disk(2).clean() && on_disk(3).clean();
        EXPECT_EQ(unforced ? 0 : unforced.error().err, clean ? 0 : EUCLEAN) << cut;
        array_metadata last = open(*made);
        ASSERT_TRUE(last.mark_clean()) << cut;
        EXPECT_TRUE(restart()) << cut;
    }
}

// The first superblock of a checkpoint is its own, and it is gone when the successor looks.
TEST_F(MdUpdate, ATargetThatWasAwayIsNotWhatTheOthersGoBy) {
    array_metadata array = open();
    ASSERT_TRUE(array.mark_dirty());
    ASSERT_TRUE(array.mark_failed(0));
    ASSERT_TRUE(array.begin_rebuild(0, md::make_spare(*array.member(1), 131072, {}).value()));
    writes_left_ = 1;
    ASSERT_TRUE(array.rebuild_reached(0, 4096));
    writes_left_ = -1;
    auto successor = open(restart(0, true).value());
    ASSERT_TRUE(successor.mark_dirty());
    ASSERT_EQ(on_disk(0).events, on_disk(1).events) << "tests nothing";
    const auto made = restart(-1, true);
    ASSERT_TRUE(made) << made.error().what;
    EXPECT_EQ(made->missing, std::vector<uint32_t>{0});
    EXPECT_FALSE(made->rebuilding);
    ASSERT_EQ(made->excluded.size(), 1U);
    EXPECT_EQ(made->excluded[0].path, paths_[0]);
}

TEST_F(MdRebuild, ATargetThatFailsIsOutAgain) {
    ASSERT_TRUE(array_->begin_rebuild(1, own_));
    EXPECT_EQ(array_->begin_rebuild(1, own_).error().err, EEXIST);
    EXPECT_TRUE(written_to(array_->mark_failed(1), {0, 2, 3}));
    EXPECT_EQ(on_disk(0).role_of(4), md::role_faulty);
    EXPECT_EQ(array_->rebuild_reached(1, 8).error().err, EINVAL);
}

TEST_F(MdRebuild, ADiskThatTakesNoSuperblockNeverCame) {
    broken_ = 1;
    EXPECT_EQ(array_->begin_rebuild(1, own_).error().err, EIO);
    broken_ = -1;
    EXPECT_FALSE(array_->member(1));
    EXPECT_TRUE(written_to(array_->mark_clean(), {0, 2, 3}));
    EXPECT_EQ(on_disk(0).role_of(4), md::role_faulty);
}

// Another member is lost in a checkpoint, and the target with it: nothing is told that makes
// that member old, for it may be mended.
TEST_F(MdRebuild, AMemberLostBesideItsTargetCanComeBack) {
    ASSERT_TRUE(array_->begin_rebuild(1, own_));
    broken_ = 2;
    ASSERT_FALSE(array_->rebuild_reached(1, 4096)->complete());
    for (int tries = 0; tries < 2; tries++) {
        const auto report = array_->mark_failed(1);
        EXPECT_TRUE(written_to(report, {}));
        ASSERT_EQ(report->failed.size(), 1U);
        EXPECT_EQ(report->failed[0].role, 2U);
    }
    broken_ = -1;
    const auto plan = restart(-1, true);
    ASSERT_TRUE(plan) << plan.error().what;
    EXPECT_EQ(plan->missing, std::vector<uint32_t>{1});
}

// Spares that cannot be written come and go; then the power fails while a mark is written.
TEST_F(MdRebuild, DisksThatTakeNoSuperblockLeaveNoGapInTheEvents) {
    for (int tries = 0; tries < 3; tries++) {
        broken_ = 1;
        EXPECT_EQ(array_->begin_rebuild(1, own_).error().err, EIO);
    }
    broken_ = -1;
    writes_left_ = 1;
    (void)array_->mark_clean();
    const auto plan = restart(1);
    ASSERT_TRUE(plan) << plan.error().what;
    EXPECT_EQ(plan->missing, std::vector<uint32_t>{1});
}

// --- The member that failed comes back, and gets what it missed.

class MdReturn : public MdRebuild {
protected:
    void SetUp() override {
        MdUpdate::SetUp();
        change_on_disk([](md_superblock& sb) {
            sb.feature_map |= md::feature_bitmap;
            sb.log_place = 8;
        });
        array_.emplace(open());
        ASSERT_TRUE(array_->mark_dirty());
        ASSERT_TRUE(array_->mark_failed(1));
        left_ = on_disk(1);
    }
    // Why it may not, when one of the superblocks is another; 0: it may.
    int refused(const std::function<void(md_superblock& of, md_superblock& own)>& change,
                const std::vector<uint32_t>& taken = {}) {
        md_superblock of = *array_->member(0), own = left_;
        change(of, own);
        auto made = md::make_returning(of, own, 131072, taken);
        return made ? 0 : made.error().err;
    }
    md_superblock left_;
};

TEST_F(MdReturn, ItsSuperblockHasTheFactsOfToday) {
    const md_superblock& of = *array_->member(0);
    auto made = md::make_returning(of, left_, 131072, {});
    ASSERT_TRUE(made) << made.error().what;
    EXPECT_EQ(made->device_uuid, left_.device_uuid);
    EXPECT_EQ(made->dev_number, 1U);
    EXPECT_EQ(made->events, of.events);
    EXPECT_EQ(made->dev_roles, of.dev_roles);
    EXPECT_EQ(made->log_place, 8);
    EXPECT_NE(made->feature_map & md::feature_bitmap, 0U);
    EXPECT_EQ(made->role(), md::role_faulty) << "it has its role to get yet";
}

TEST_F(MdReturn, WhoMayLackMoreIsRefused) {
    using sb = md_superblock;
    EXPECT_EQ(refused([](sb&, sb&) {}), 0);
    EXPECT_EQ(refused([](sb&, sb& own) { own.events -= 1; }), 0) << "the bitmap judges that";
    const std::vector<std::pair<const char*, std::function<void(sb&, sb&)>>> cases = {
        {"another set", [](sb&, sb& own) { own.set_uuid[0] ^= 1; }},
        {"another size", [](sb& of, sb&) { of.size -= of.chunk_sectors; }},
        {"another chunk", [](sb& of, sb&) { of.chunk_sectors /= 2; }},
        {"another layout", [](sb& of, sb&) { of.layout ^= 1; }},
        {"another level", [](sb& of, sb&) { of.level = 4; }},
        {"another number of members", [](sb& of, sb&) { of.raid_disks = 5; }},
        {"a spare", [](sb&, sb& own) { own.dev_roles[1] = md::role_spare; }},
        {"faulty by itself", [](sb&, sb& own) { own.dev_roles[1] = md::role_faulty; }},
        {"half built", [](sb&, sb& own) { own.feature_map |= md::feature_recovery_offset; }},
        {"replacing", [](sb&, sb& own) { own.feature_map |= md::feature_replacement; }},
        {"events of the array's future", [](sb& of, sb& own) { own.events = of.events + 1; }},
        {"events that it cannot have", [](sb& of, sb& own) { own.events = of.events; }},
        {"served without another", [](sb&, sb& own) { own.dev_roles[2] = md::role_faulty; }},
        {"another has changed",
         [](sb& of, sb&) {
             of.dev_roles.resize(5, md::role_spare);
             of.dev_roles[2] = md::role_spare;
             of.dev_roles[4] = 2;
         }},
        {"its number is active", [](sb& of, sb&) { of.dev_roles[1] = 1; }},
        {"another has its role",
         [](sb& of, sb&) {
             of.dev_roles.resize(5, md::role_spare);
             of.dev_roles[4] = 1;
         }},
        {"data behind the end", [](sb&, sb& own) { own.data_offset += 131072; }},
        {"data a bit behind the end",
         [](sb&, sb& own) { own.data_offset = 131072 - own.size + 8; }},
        {"data nowhere", [](sb&, sb& own) { own.data_offset = ~uint64_t{0} - 8; }},
        {"less data than the array", [](sb&, sb& own) { own.data_size = own.size - 8; }}};
    for (const auto& [what, change] : cases)
        EXPECT_NE(refused(change), 0) << what;
    EXPECT_NE(refused([](sb&, sb&) {}, {4, 1}), 0) << "a spare has its number";
}

TEST_F(MdReturn, ItsOwnSuperblockIsFirstAndSaysByBitmap) {
    auto own = md::make_returning(*array_->member(0), left_, 131072, {});
    ASSERT_TRUE(own);
    constexpr uint32_t both = md::feature_recovery_offset | md::feature_recovery_bitmap;
    EXPECT_TRUE(written_to(array_->begin_rebuild(1, *own, true), {1, 0, 2, 3}));
    EXPECT_EQ(on_disk(1).role(), 1U);
    EXPECT_EQ(on_disk(1).feature_map & both, both);
    EXPECT_EQ(on_disk(1).recovery_offset, 0U);
    EXPECT_EQ(on_disk(0).role_of(1), 1U);
    EXPECT_EQ(on_disk(0).feature_map & both, 0U);
    ASSERT_TRUE(array_->rebuild_reached(1, 4096));
    ASSERT_TRUE(array_->mark_clean());
    auto half = restart();
    ASSERT_TRUE(half && half->rebuilding);
    EXPECT_TRUE(half->rebuilding->by_bitmap);
    EXPECT_EQ(half->rebuilding->sectors, 4096U);
    ASSERT_TRUE(array_->rebuild_finished(1));
    EXPECT_EQ(on_disk(1).feature_map & both, 0U);
    EXPECT_TRUE(restart()->missing.empty());
}

// What is filled anew says so, whatever it was.
TEST_F(MdReturn, ARebuildOfAllTakesTheBitBack) {
    auto own = md::make_returning(*array_->member(0), left_, 131072, {});
    ASSERT_TRUE(own);
    own->feature_map |= md::feature_recovery_bitmap;
    ASSERT_TRUE(array_->begin_rebuild(1, *own));
    EXPECT_EQ(on_disk(1).feature_map & md::feature_recovery_bitmap, 0U);
    ASSERT_TRUE(array_->mark_clean());
    EXPECT_FALSE(restart()->rebuilding->by_bitmap);
}

TEST_F(MdReturn, CutOffAnywhereItIsNotBelieved) {
    for (int writes = 0; writes <= 4; writes++) {
        SetUp();
        auto own = md::make_returning(*array_->member(0), left_, 131072, {});
        ASSERT_TRUE(own);
        writes_left_ = writes;
        (void)array_->begin_rebuild(1, *own, true);
        writes_left_ = -1;
        const auto made = restart(-1, true);
        ASSERT_TRUE(made) << writes << ": " << made.error().what;
        EXPECT_EQ(made->missing, std::vector<uint32_t>{1}) << writes;
        if (made->rebuilding) {
            EXPECT_EQ(made->rebuilding->sectors, 0U);
            EXPECT_TRUE(made->rebuilding->by_bitmap);
        }
    }
}

// Half of it done, it fails: it is filled anew next time.
TEST_F(MdReturn, ATargetThatFailsDoesNotReturnByTheBitmap) {
    auto own = md::make_returning(*array_->member(0), left_, 131072, {});
    ASSERT_TRUE(own);
    ASSERT_TRUE(array_->begin_rebuild(1, *own, true));
    ASSERT_TRUE(array_->mark_failed(1));
    EXPECT_FALSE(md::make_returning(*array_->member(0), on_disk(1), 131072, {}));
}

}  // namespace
}  // namespace rr::test
