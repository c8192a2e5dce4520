// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Assembly: real arrays of md's, then every reason to leave a device out or to
// refuse, each in every order of devices that a seed of shuffles reaches.
#include <algorithm>
#include <random>

#include "md/assemble.h"
#include "md_helpers.h"

namespace rr::test {
namespace {

using md::assembly_options;
using md::assembly_plan;
using md::candidate;
using md::exclusion;
using md::md_superblock;

constexpr uint64_t device_sectors = 131072;

std::vector<candidate> as_candidates(const std::vector<md_superblock>& members,
                                     const std::string& prefix = "m") {
    std::vector<candidate> candidates;
    for (size_t i = 0; i < members.size(); i++)
        candidates.push_back({fmt::format("{}{}", prefix, i), device_sectors, members[i]});
    return candidates;
}

std::vector<candidate> from_vector(const std::string& name) {
    std::vector<candidate> candidates;
    for (const auto& member : load_vector(name))
        candidates.push_back({fmt::format("{}.{}", name, candidates.size()), device_sectors,
                              md::parse(member.bytes)});
    return candidates;
}

// The plan as text, with paths instead of indices: equal for equal plans.
std::string picture(const Result<assembly_plan>& plan) {
    if (!plan)
        return fmt::format("error {}", plan.error().err);
    std::string text = fmt::format(
        "{} {} events {} clean {} resync {} forced {} size {} array {} clear {:x};",
        md::to_string(plan->set_uuid), plan->name, plan->events, plan->clean, plan->needs_resync,
        plan->forced, plan->member_sectors, plan->array_sectors, plan->features_to_clear);
    for (const auto& member : plan->members)
        text += " " + (member ? member->path : std::string("-"));
    if (plan->replacement)
        text += fmt::format(" {}={}:{}", plan->replacement->device.path, plan->replacement->role,
                            plan->replacement->sectors);
    if (plan->rebuilding)
        text += fmt::format(" rebuilding {}:{}", plan->rebuilding->role, plan->rebuilding->sectors);
    std::vector<std::string> excluded;
    for (const auto& device : plan->excluded)
        excluded.push_back(fmt::format(" {}={}", device.path, md::to_string(device.why)));
    std::sort(excluded.begin(), excluded.end());
    for (const auto& device : excluded)
        text += device;
    return text;
}

// Late members have tests of their own.
const assembly_options as_degraded{.degraded = true};

// Plans @candidates and checks that no other order gives another plan.
Result<assembly_plan> plan(std::vector<candidate> candidates,
                           const assembly_options& options = as_degraded) {
    const auto first = md::plan_assembly(candidates, options);
    std::mt19937 random(42);
    for (int round = 0; round < 30; round++) {
        std::shuffle(candidates.begin(), candidates.end(), random);
        EXPECT_EQ(picture(md::plan_assembly(candidates, options)), picture(first));
    }
    return first;
}

std::optional<exclusion> why_excluded(const assembly_plan& plan, const std::string& path) {
    for (const auto& device : plan.excluded) {
        EXPECT_FALSE(device.reason.empty());
        if (device.path == path)
            return device.why;
    }
    return std::nullopt;
}

std::string seats(const assembly_plan& plan) {
    std::string text;
    for (const auto& member : plan.members)
        text += (member ? member->path : std::string("-")) + " ";
    return text;
}

// Four members of a clean array with 100 events.
class MdAssemble : public testing::Test {
protected:
    MdAssemble() {
        for (auto& member : members_)
            member.events = 100;
    }
    [[nodiscard]] Result<assembly_plan> plan_members(
        const assembly_options& options = as_degraded) const {
        return plan(as_candidates(members_), options);
    }
    static int error_of(const Result<assembly_plan>& plan) { return plan ? 0 : plan.error().err; }

    std::vector<md_superblock> members_ = must_make(four_members());
};

// --- Real arrays.

TEST(MdAssembleVectors, CleanArraysAssembleInEveryOrder) {
    for (const char* name : {"ls4", "rs3bitmap", "la5", "ra3", "ppl4"}) {
        const auto made = plan(from_vector(name));
        ASSERT_TRUE(made) << name << ": " << made.error().what;
        EXPECT_TRUE(made->clean);
        EXPECT_FALSE(made->needs_resync);
        EXPECT_TRUE(made->excluded.empty());
        EXPECT_TRUE(made->missing.empty());
        for (size_t role = 0; role < made->members.size(); role++)
            EXPECT_EQ(made->members[role]->path, fmt::format("{}.{}", name, role));
    }
    const auto ra3 = plan(from_vector("ra3"));
    EXPECT_EQ(ra3->geometry.members, 3U);
    EXPECT_EQ(ra3->geometry.chunk_shift, 11U);
    EXPECT_EQ(ra3->geometry.layout, 1U);
    EXPECT_EQ(ra3->member_sectors, 40960U);
    EXPECT_EQ(ra3->array_sectors, 81920U);
}

TEST(MdAssembleVectors, AFailedMemberAndARemovedOneStayOut) {
    for (const char* name : {"failed4", "removed4"}) {
        const auto made = plan(from_vector(name), {});
        ASSERT_TRUE(made) << name << ": " << made.error().what;
        EXPECT_EQ(made->missing, std::vector<uint32_t>{2});
        EXPECT_TRUE(made->late.empty()) << "md knows that it failed";
        EXPECT_TRUE(made->degraded());
        EXPECT_EQ(why_excluded(*made, std::string(name) + ".2"), exclusion::stale);
    }
}

TEST(MdAssembleVectors, ASpareIsKeptAndStaysOutUntilItWasRebuilt) {
    const auto before = plan(from_vector("spare4"));
    ASSERT_TRUE(before);
    EXPECT_EQ(before->spares, std::vector<size_t>{4});
    EXPECT_EQ(seats(*before), "spare4.0 spare4.1 spare4.2 spare4.3 ");
    const auto after = plan(from_vector("rebuilt4"));
    ASSERT_TRUE(after);
    EXPECT_EQ(seats(*after), "rebuilt4.0 rebuilt4.4 rebuilt4.2 rebuilt4.3 ");
    EXPECT_EQ(why_excluded(*after, "rebuilt4.1"), exclusion::stale);
}

TEST(MdAssembleVectors, WhatMdBeganToRebuildIsDegradedUpToItsCheckpoint) {
    const auto made = plan(from_vector("rebuilding4"));
    ASSERT_TRUE(made) << made.error().what;
    ASSERT_TRUE(made->rebuilding);
    EXPECT_EQ(made->rebuilding->role, 1U);
    EXPECT_EQ(fmt::format("{} sectors", made->rebuilding->sectors),
              load_vector("rebuilding4")[1].says.at("Recovery Offset"));
    EXPECT_EQ(made->missing, std::vector<uint32_t>{1});
    EXPECT_TRUE(made->late.empty());
    EXPECT_TRUE(made->members[1]);
}

TEST(MdAssembleVectors, DirtyAskForAResyncAndUnfinishedAreRefused) {
    const auto dirty = plan(from_vector("dirty4"));
    ASSERT_TRUE(dirty);
    EXPECT_FALSE(dirty->clean);
    EXPECT_TRUE(dirty->needs_resync);
    for (const char* name : {"reshaping4", "raid6", "raid1", "journal3"}) {
        const auto made = plan(from_vector(name));
        ASSERT_FALSE(made) << name;
        EXPECT_EQ(made.error().err, ENOTSUP) << name << ": " << made.error().what;
    }
}

// Rule 6: what was in flight is in the log, whatever that is worth.
TEST(MdAssembleVectors, WithALogTheyStartWithoutAMember) {
    auto candidates = from_vector("ppldirty4");
    const auto whole = plan(candidates);
    ASSERT_TRUE(whole) << whole.error().what;
    EXPECT_TRUE(whole->has_ppl);
    EXPECT_FALSE(whole->clean);
    EXPECT_TRUE(whole->needs_resync) << "until the log has said otherwise";
    EXPECT_EQ(whole->features_to_clear, md::feature_multiple_ppls);
    candidates.pop_back();
    const auto degraded = plan(candidates);
    ASSERT_TRUE(degraded) << degraded.error().what;
    EXPECT_TRUE(degraded->degraded());
    EXPECT_FALSE(degraded->forced);
    EXPECT_FALSE(plan(from_vector("dirty4"))->has_ppl);
}

// ... but not what was never computed: beyond there a missing block comes out of nothing.
TEST(MdAssembleVectors, ALogIsNoneOfAResyncThatWasStopped) {
    auto candidates = from_vector("ppldirty4");
    for (candidate& one : candidates)
        one.superblock->resync_offset = 1024;
    const auto whole = plan(candidates);
    ASSERT_TRUE(whole) << whole.error().what;
    EXPECT_EQ(whole->resync_from, 1024U);
    candidates.pop_back();
    const auto degraded = plan(candidates);
    ASSERT_FALSE(degraded);
    EXPECT_EQ(degraded.error().err, EUCLEAN);
    assembly_options force;
    force.force = true;
    const auto forced = plan(candidates, force);
    ASSERT_TRUE(forced) << forced.error().what;
    EXPECT_TRUE(forced->forced);
}

// --- Choosing the array.

TEST_F(MdAssemble, TwoArraysAreRefusedUntilOneIsChosen) {
    md::new_array other_spec = four_members();
    other_spec.name = "other";
    const auto other = must_make(other_spec);
    auto candidates = as_candidates(members_);
    for (auto& one : as_candidates(other, "o"))
        candidates.push_back(std::move(one));
    EXPECT_EQ(error_of(plan(candidates)), EINVAL);
    for (const assembly_options& by :
         {assembly_options{other[0].set_uuid, {}, false}, assembly_options{{}, "other", false},
          assembly_options{{}, "host:other", false}}) {
        const auto made = plan(candidates, by);
        ASSERT_TRUE(made) << made.error().what;
        EXPECT_EQ(made->set_uuid, other[0].set_uuid);
        EXPECT_EQ(seats(*made), "o0 o1 o2 o3 ");
        EXPECT_EQ(why_excluded(*made, "m0"), exclusion::foreign);
        EXPECT_EQ(made->excluded.size(), 4U);
    }
    EXPECT_EQ(error_of(plan(candidates, {{}, "third", false})), ENODEV);
    EXPECT_EQ(error_of(plan(candidates, {md::uuid{}, {}, false})), ENODEV);
}

TEST_F(MdAssemble, ANameOfTwoArraysIsRefused) {
    auto candidates = as_candidates(members_);
    for (auto& one : as_candidates(must_make(four_members()), "o"))
        candidates.push_back(std::move(one));
    EXPECT_EQ(error_of(plan(candidates, {{}, "test", false})), EINVAL);
}

TEST_F(MdAssemble, DevicesThatCannotBeReadAreListed) {
    auto candidates = as_candidates(members_);
    candidates[1].superblock = fail(EIO, "reading failed");
    candidates.push_back({"blank", device_sectors, fail(ENODATA, "no md superblock 1.2")});
    const auto made = plan(candidates);
    ASSERT_TRUE(made);
    EXPECT_EQ(why_excluded(*made, "m1"), exclusion::unreadable);
    EXPECT_EQ(why_excluded(*made, "blank"), exclusion::unreadable);
    EXPECT_EQ(made->missing, std::vector<uint32_t>{1});
}

TEST_F(MdAssemble, NothingIsNoArray) {
    EXPECT_EQ(error_of(plan({})), ENODEV);
    EXPECT_EQ(error_of(plan({{"a", 1, fail(EIO, "reading failed")}})), ENODEV);
}

// --- Events.

TEST_F(MdAssemble, AMemberTwoEventsBehindIsStale) {
    members_[1].events = 98;
    const auto made = plan_members();
    ASSERT_TRUE(made);
    EXPECT_EQ(why_excluded(*made, "m1"), exclusion::stale);
    EXPECT_EQ(made->missing, std::vector<uint32_t>{1});
    EXPECT_EQ(made->events, 100U);
}

TEST_F(MdAssemble, AMemberOneEventBehindIsTakenWithTheFreshestFacts) {
    members_[1].events = 99;
    members_[1].resync_offset = 0;  // the write that made the others clean did not reach it
    const auto made = plan_members();
    ASSERT_TRUE(made);
    EXPECT_TRUE(made->missing.empty());
    EXPECT_TRUE(made->clean);
    const md_superblock& sb = made->members[1]->superblock;
    EXPECT_EQ(sb.events, 100U);
    EXPECT_TRUE(sb.clean());
    EXPECT_EQ(sb.device_uuid, members_[1].device_uuid);
}

TEST_F(MdAssemble, AMemberOneEventBehindTakesItsRoleFromTheFreshest) {
    for (const uint16_t role : {md::role_faulty, md::role_spare}) {
        for (const size_t i : {0, 2, 3}) {
            members_[i].dev_roles[1] = role;
            members_[i].events = 101;
        }
        const auto made = plan_members();
        ASSERT_TRUE(made);
        EXPECT_EQ(why_excluded(*made, "m1"),
                  role == md::role_faulty ? exclusion::faulty : exclusion::spare);
        EXPECT_EQ(made->missing, std::vector<uint32_t>{1});
    }
}

TEST_F(MdAssemble, ADeviceThatBecameAMemberWithoutKnowingItIsNotOne) {
    // The rebuild on to spare 4 began; its own superblock still says spare.
    md_superblock spare = members_[1];
    spare.dev_number = 4;
    spare.device_uuid[0] = static_cast<uint8_t>(spare.device_uuid[0] + 1);
    for (const size_t i : {0, 2, 3}) {
        members_[i].dev_roles[1] = md::role_faulty;
        members_[i].dev_roles[4] = 1;
        members_[i].events = 101;
    }
    auto candidates = as_candidates({members_[0], members_[2], members_[3], spare});
    const auto made = plan(candidates);
    ASSERT_TRUE(made) << made.error().what;
    EXPECT_EQ(made->missing, std::vector<uint32_t>{1});
    EXPECT_EQ(why_excluded(*made, "m3"), exclusion::spare);
}

TEST_F(MdAssemble, AMemberThatIsGivenAnotherRoleHoldsTheWrongData) {
    for (const size_t i : {0, 2}) {
        members_[i].dev_roles[1] = 3;
        members_[i].dev_roles[3] = 1;
        members_[i].events = 101;
    }
    EXPECT_EQ(error_of(plan_members()), ENODEV);
    members_[3].dev_roles = members_[0].dev_roles;
    members_[3].events = 101;
    const auto made = plan_members();
    ASSERT_TRUE(made);
    EXPECT_EQ(why_excluded(*made, "m1"), exclusion::bad_role);
    EXPECT_EQ(made->missing, std::vector<uint32_t>{3});
}

TEST_F(MdAssemble, TheLastEventBeforeTheCounterEndsIsNotStale) {
    for (auto& member : members_)
        member.events = ~0ULL;
    members_[2].events = ~0ULL - 1;
    const auto made = plan_members();
    ASSERT_TRUE(made);
    EXPECT_TRUE(made->missing.empty());
}

TEST_F(MdAssemble, EquallyFreshMembersMustNotContradictEachOther) {
    const auto change = [&](auto apply) {
        auto members = members_;
        apply(members[2]);
        return error_of(plan(as_candidates(members)));
    };
    EXPECT_EQ(change([](auto&) {}), 0);
    EXPECT_EQ(change([](auto& sb) { sb.layout = 0; }), EINVAL);
    EXPECT_EQ(change([](auto& sb) { sb.chunk_sectors = 64; }), EINVAL);
    EXPECT_EQ(change([](auto& sb) { sb.raid_disks = 5; }), EINVAL);
    EXPECT_EQ(change([](auto& sb) { sb.size -= 128; }), EINVAL);
    EXPECT_EQ(change([](auto& sb) { sb.dev_roles[1] = md::role_faulty; }), EINVAL);
    // A longer table of spares is no contradiction.
    EXPECT_EQ(change([](auto& sb) { sb.dev_roles.resize(200, md::role_spare); }), 0);
}

TEST_F(MdAssemble, AmongEquallyFreshMembersTheFirstNumberIsAsked) {
    for (size_t i = 0; i < 4; i++)
        members_[i].set_name = fmt::format("host:name{}", i);
    const auto made = plan_members();
    ASSERT_TRUE(made);
    EXPECT_EQ(made->name, "host:name0");
}

TEST_F(MdAssemble, AnOlderMemberOfAnotherShapeIsLeftOut) {
    members_[2].events = 99;
    members_[2].layout = 0;
    const auto made = plan_members();
    ASSERT_TRUE(made);
    EXPECT_EQ(why_excluded(*made, "m2"), exclusion::mismatch);
}

// --- Roles.

TEST_F(MdAssemble, DeviceNumbersAreNotRoles) {
    const std::vector<uint16_t> roles{2, 0, 3, 1};
    for (auto& member : members_)
        std::copy(roles.begin(), roles.end(), member.dev_roles.begin());
    const auto made = plan_members();
    ASSERT_TRUE(made);
    EXPECT_EQ(seats(*made), "m1 m3 m0 m2 ");
}

TEST_F(MdAssemble, TwoDevicesInOneRoleAreRefused) {
    auto candidates = as_candidates(members_);
    candidates.push_back({"copy", device_sectors, members_[1]});
    EXPECT_EQ(error_of(plan(candidates)), EEXIST);
    // Also when it is the older one of a moment ago, and not an exact copy.
    candidates[4].superblock->events = 99;
    EXPECT_EQ(error_of(plan(candidates)), EEXIST);
    candidates[4].superblock->device_uuid[0] ^= 1;
    EXPECT_EQ(error_of(plan(candidates)), EEXIST);
    // Another device of that role that missed writes is plainly stale.
    candidates[4].superblock->events = 90;
    const auto made = plan(candidates);
    ASSERT_TRUE(made);
    EXPECT_EQ(why_excluded(*made, "copy"), exclusion::stale);
}

TEST_F(MdAssemble, ACopyIsRefusedWhateverItSays) {
    for (const uint64_t events : {90ULL, 99ULL, 100ULL, 200ULL}) {
        auto candidates = as_candidates(members_);
        candidates.push_back({"copy", device_sectors, members_[1]});
        candidates[4].superblock->events = events;
        for (const uint16_t role :
             {uint16_t{1}, uint16_t{md::role_spare}, uint16_t{md::role_faulty}}) {
            candidates[4].superblock->dev_roles[1] = role;
            const auto refused = plan(candidates);
            ASSERT_FALSE(refused) << events;
            EXPECT_EQ(refused.error().err, EEXIST);
            for (const char* path : {"m1", "copy"})
                EXPECT_NE(refused.error().what.find(path), std::string::npos);
            EXPECT_NE(refused.error().hint.find("copy of the other"), std::string::npos);
        }
        candidates.erase(candidates.begin() + 1);
        EXPECT_NE(error_of(plan(candidates)), EEXIST) << "the copy alone is a member";
    }
}

TEST_F(MdAssemble, TwoPathsOfOneDiskAreNamedAsSuch) {
    auto candidates = as_candidates(members_);
    candidates.push_back({"path", device_sectors, members_[1], "naa.1"});
    candidates[1].disk = "naa.1";
    const auto refused = plan(candidates);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().err, EEXIST);
    EXPECT_NE(refused.error().what.find("two paths of one disk"), std::string::npos);
    EXPECT_NE(refused.error().hint.find("multipath"), std::string::npos);
}

TEST_F(MdAssemble, TwoRolesWithOneDeviceUuidAreRefused) {
    members_[3].device_uuid = members_[0].device_uuid;
    EXPECT_EQ(error_of(plan_members()), EEXIST);
}

TEST_F(MdAssemble, TwoNumbersWithOneRoleInTheTableAreRefused) {
    for (auto& member : members_)
        member.dev_roles[3] = 1;
    EXPECT_EQ(error_of(plan_members()), EEXIST);
}

TEST_F(MdAssemble, ARoleOutsideOfTheArrayIsLeftOut) {
    for (auto& member : members_)
        member.dev_roles[3] = 4;
    const auto made = plan_members();
    ASSERT_TRUE(made);
    EXPECT_EQ(why_excluded(*made, "m3"), exclusion::bad_role);
    EXPECT_EQ(made->missing, std::vector<uint32_t>{3});
}

TEST_F(MdAssemble, OnlySparesAreNoArray) {
    for (auto& member : members_)
        std::fill(member.dev_roles.begin(), member.dev_roles.end(), md::role_spare);
    EXPECT_EQ(error_of(plan_members()), ENODEV);
}

TEST_F(MdAssemble, ADeviceThatEndsBeforeItsDataIsLeftOut) {
    auto candidates = as_candidates(members_);
    candidates[0].sectors = device_sectors - 1;
    candidates[0].superblock->data_size = members_[0].data_size;
    const auto made = plan(candidates);
    ASSERT_TRUE(made);
    EXPECT_EQ(why_excluded(*made, "m0"), exclusion::too_small);
    candidates[0].sectors = 0;
    EXPECT_EQ(why_excluded(*plan(candidates), "m0"), exclusion::too_small);
}

TEST_F(MdAssemble, DataOffsetsMayDiffer) {
    members_[2].data_offset += 2048;
    members_[2].data_size -= 2048;
    for (auto& member : members_)
        member.size = members_[2].data_size / 128 * 128;
    const auto made = plan_members();
    ASSERT_TRUE(made);
    EXPECT_EQ(made->members[2]->superblock.data_offset, members_[0].data_offset + 2048);
}

// --- Completeness.

class MdAssembleMissing : public MdAssemble,
                          public testing::WithParamInterface<std::tuple<int, bool, bool, bool>> {};

TEST_P(MdAssembleMissing, OneMayBeMissingFromACleanArrayOnly) {
    const auto [missing, clean, force, degraded] = GetParam();
    for (auto& member : members_)
        member.resync_offset = clean ? md::resync_none : 0;
    auto candidates = as_candidates(members_);
    candidates.erase(candidates.begin(), candidates.begin() + missing);
    const auto made = plan(candidates, {{}, {}, force, degraded});
    if (missing > 1) {
        EXPECT_EQ(error_of(made), ENODEV);
    } else if (missing == 1 && !clean && !force) {
        EXPECT_EQ(error_of(made), EUCLEAN);
        EXPECT_FALSE(made.error().hint.empty());
    } else if (missing == 1 && !force && !degraded) {
        EXPECT_EQ(error_of(made), EAGAIN);
        EXPECT_NE(made.error().what.find("role 0"), std::string::npos);
        EXPECT_NE(made.error().hint.find("--degraded"), std::string::npos);
    } else {
        ASSERT_TRUE(made) << made.error().what;
        EXPECT_EQ(made->late, made->missing);
        EXPECT_EQ(made->missing.size(), static_cast<size_t>(missing));
        EXPECT_EQ(made->clean, clean);
        EXPECT_EQ(made->needs_resync, !clean && missing == 0);
        EXPECT_EQ(made->forced, !clean && missing == 1);
    }
}

INSTANTIATE_TEST_SUITE_P(All, MdAssembleMissing,
                         testing::Combine(testing::Range(0, 5), testing::Bool(), testing::Bool(),
                                          testing::Bool()));

TEST_F(MdAssemble, AMemberThatIsKnownToBeOutIsNotLate) {
    for (const uint16_t role : {md::role_faulty, md::role_spare}) {
        for (const size_t i : {0, 2, 3})
            members_[i].dev_roles[1] = role;
        const auto made = plan(as_candidates({members_[0], members_[2], members_[3]}), {});
        ASSERT_TRUE(made) << made.error().what;
        EXPECT_EQ(made->missing, std::vector<uint32_t>{1});
        EXPECT_TRUE(made->late.empty());
    }
}

// What is here and does not count as a member is as late as what is not here.
TEST_F(MdAssemble, AMemberThatIsLeftOutIsLate) {
    auto candidates = as_candidates(members_);
    const auto late = [&] { return error_of(plan(candidates, {})); };
    EXPECT_EQ(late(), 0);
    candidates[1].superblock->events = 90;
    EXPECT_EQ(late(), EAGAIN);
    EXPECT_NE(plan(candidates, {}).error().hint.find("m1: missed writes"), std::string::npos);
    candidates[1] = {"m1", device_sectors, fail(EIO, "reading failed")};
    EXPECT_EQ(late(), EAGAIN);
    candidates[1] = {"m1", 100, members_[1]};
    EXPECT_EQ(late(), EAGAIN);
}

// --- Members that are here and cannot be used.

TEST_F(MdAssemble, AnUnusableMemberRefusesTheArray) {
    for (const bool degraded : {false, true}) {
        auto candidates = as_candidates(members_);
        candidates[2].unusable = Error{EROFS, "m2 is read-only", "make it writable"};
        const auto refused = plan(candidates, {{}, {}, degraded, degraded});
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().err, EROFS);
        EXPECT_EQ(refused.error().what, "m2 is read-only");
        EXPECT_EQ(refused.error().hint, "make it writable");
        candidates.erase(candidates.begin() + 2);
        EXPECT_EQ(error_of(plan(candidates, {{}, {}, false, degraded})), degraded ? 0 : EAGAIN);
    }
}

TEST_F(MdAssemble, AnUnusableDeviceThatIsNoMemberDoesNotMatter) {
    auto candidates = as_candidates(members_);
    md_superblock spare = members_[1];
    spare.dev_number = 4;
    spare.device_uuid[0] ^= 1;
    candidates.push_back({"spare", device_sectors, spare, "", Error{EROFS, "read-only", ""}});
    candidates.push_back(
        {"foreign", device_sectors, fail(ENODATA, "none"), "", Error{EBUSY, "in use", ""}});
    const auto made = plan(candidates, {});
    ASSERT_TRUE(made) << made.error().what;
    EXPECT_EQ(why_excluded(*made, "spare"), exclusion::spare);
    EXPECT_TRUE(made->missing.empty());
}

TEST_F(MdAssemble, OneDirtyMemberAmongTheFreshestMakesTheArrayDirty) {
    for (size_t dirty = 0; dirty < 4; dirty++) {
        auto members = members_;
        members[dirty].resync_offset = 0;
        const auto made = plan(as_candidates(members));
        ASSERT_TRUE(made);
        EXPECT_TRUE(made->needs_resync) << dirty;
    }
    members_[0].resync_offset = 4096;  // md stopped in the middle of a resync
    EXPECT_TRUE(plan_members()->needs_resync);
}

TEST_F(MdAssemble, TheFirstDirtyMarkCountsAlthoughTheOthersMissedIt) {
    members_[3].events = 101;
    members_[3].resync_offset = 0;
    const auto made = plan_members();
    ASSERT_TRUE(made);
    EXPECT_TRUE(made->needs_resync);
    EXPECT_TRUE(made->missing.empty());
}

TEST_F(MdAssemble, ARebuiltMemberCountsAsMissing) {
    members_[2].feature_map = md::feature_recovery_offset;
    members_[2].recovery_offset = 1ULL << 40;
    const auto made = plan_members();
    ASSERT_TRUE(made) << made.error().what;
    EXPECT_EQ(made->missing, std::vector<uint32_t>{2});
    EXPECT_EQ(made->rebuilding->sectors, made->member_sectors) << "no further than its data";
    members_[1].dev_roles.clear();  // and with another one gone it is no array
    members_.erase(members_.begin() + 1);
    EXPECT_EQ(error_of(plan_members()), ENODEV);
}

TEST_F(MdAssemble, AMemberRebuiltByBitmapSaysSo) {
    members_[2].feature_map = md::feature_bitmap | md::feature_recovery_offset;
    EXPECT_FALSE(plan_members()->rebuilding->by_bitmap);
    members_[2].feature_map |= md::feature_recovery_bitmap;
    const auto made = plan_members();
    ASSERT_TRUE(made) << made.error().what;
    EXPECT_TRUE(made->rebuilding->by_bitmap);
    EXPECT_EQ(made->features_to_clear, 0U);
    // Without the other bit it is in sync, for md as well.
    members_[2].feature_map = md::feature_bitmap | md::feature_recovery_bitmap;
    EXPECT_FALSE(plan_members()->rebuilding);
    EXPECT_TRUE(plan_members()->missing.empty());
}

TEST_F(MdAssemble, ABitmapIsKept) {
    for (auto& member : members_) {
        member.feature_map = md::feature_bitmap;
        member.log_place = 8;
    }
    const auto made = plan_members();
    ASSERT_TRUE(made) << made.error().what;
    EXPECT_EQ(made->features_to_clear, 0U);
    EXPECT_EQ(made->members[0]->superblock.log_place, 8);
}

TEST_F(MdAssemble, DirtyAndRebuiltIsDirtyAndDegraded) {
    members_[2].feature_map = md::feature_recovery_offset;
    for (auto& member : members_)
        member.resync_offset = 0;
    EXPECT_EQ(error_of(plan_members()), EUCLEAN);
}

TEST_F(MdAssemble, OneMemberThatIsNotServableRefusesTheArray) {
    members_[2].feature_map = md::feature_clustered;
    EXPECT_EQ(error_of(plan_members()), ENOTSUP);
    EXPECT_NE(plan_members().error().what.find("m2"), std::string::npos);
    members_[2].events = 90;  // unless it is out anyway
    EXPECT_TRUE(plan_members());
}

// --- A member that is being replaced: m4 becomes a copy of m1.

class MdAssembleReplacement : public MdAssemble {
protected:
    static constexpr uint64_t reached = 4096;
    MdAssembleReplacement() {
        members_.push_back(md::make_spare(members_[0], device_sectors, {}).value());
        copy().feature_map |= md::feature_recovery_offset | md::feature_replacement;
        copy().recovery_offset = reached;
        give_number(4, 1);
    }
    md_superblock& copy() { return members_[4]; }
    void give_number(uint32_t number, uint16_t role) {
        for (auto& member : members_) {
            member.dev_roles.resize(std::max<size_t>(member.dev_roles.size(), number + 1),
                                    md::role_spare);
            member.dev_roles[number] = role;
        }
    }
    [[nodiscard]] Result<assembly_plan> plan_without(
        std::initializer_list<size_t> absent, const assembly_options& options = as_degraded) const {
        std::vector<candidate> here;
        const auto all = as_candidates(members_);
        for (size_t i = 0; i < all.size(); i++) {
            if (std::ranges::find(absent, i) == absent.end())
                here.push_back(all[i]);
        }
        return plan(here, options);
    }
};

TEST_F(MdAssembleReplacement, ItIsBesideItsMember) {
    const auto made = plan_members({});
    ASSERT_TRUE(made) << made.error().what;
    EXPECT_EQ(seats(*made), "m0 m1 m2 m3 ");
    EXPECT_FALSE(made->degraded());
    EXPECT_TRUE(made->late.empty());
    EXPECT_FALSE(made->rebuilding);
    ASSERT_TRUE(made->replacement);
    EXPECT_EQ(made->replacement->role, 1U);
    EXPECT_EQ(made->replacement->sectors, reached);
    EXPECT_EQ(made->replacement->device.path, "m4");
    EXPECT_TRUE(made->replacement->device.superblock.has(md::feature_replacement));
}

TEST_F(MdAssembleReplacement, OneThatIsBehindOrAheadByOneIsAsGood) {
    for (const uint64_t events : {99, 101}) {
        copy().events = events;
        const auto made = plan_members({});
        ASSERT_TRUE(made) << made.error().what;
        ASSERT_TRUE(made->replacement) << events;
        EXPECT_EQ(made->replacement->device.superblock.events, std::max<uint64_t>(events, 100));
    }
    copy().events = 98;
    const auto made = plan_members({});
    ASSERT_TRUE(made);
    EXPECT_FALSE(made->replacement);
    EXPECT_EQ(why_excluded(*made, "m4"), exclusion::stale);
}

// As md leaves one that has all, and was not promoted yet.
TEST_F(MdAssembleReplacement, OneThatHasAllSaysSoByTheBitThatItLacks) {
    copy().feature_map &= ~uint32_t{md::feature_recovery_offset};
    copy().recovery_offset = 0;
    EXPECT_EQ(plan_members({})->replacement->sectors, copy().size);
    // It is a member, where the other one is not here.
    const auto made = plan_without({1}, {});
    ASSERT_TRUE(made) << made.error().what;
    EXPECT_EQ(seats(*made), "m0 m4 m2 m3 ");
    EXPECT_FALSE(made->degraded());
    EXPECT_FALSE(made->replacement);
    EXPECT_FALSE(made->members[1]->superblock.has(md::feature_replacement));
}

TEST_F(MdAssembleReplacement, AnOffsetBehindTheEndIsTheEnd) {
    copy().recovery_offset = ~uint64_t{0};
    EXPECT_EQ(plan_members({})->replacement->sectors, copy().size);
}

TEST_F(MdAssembleReplacement, WithoutItsMemberItIsARebuildThatCameSoFar) {
    EXPECT_EQ(error_of(plan_without({1}, {})), EAGAIN) << "the others count on it";
    const auto made = plan_without({1});
    ASSERT_TRUE(made) << made.error().what;
    EXPECT_EQ(seats(*made), "m0 m4 m2 m3 ");
    EXPECT_EQ(made->missing, std::vector<uint32_t>{1});
    EXPECT_EQ(made->late, std::vector<uint32_t>{1});
    ASSERT_TRUE(made->rebuilding);
    EXPECT_EQ(made->rebuilding->sectors, reached);
    EXPECT_FALSE(made->replacement);
    EXPECT_FALSE(made->members[1]->superblock.has(md::feature_replacement));
    // Nor where something was being written: that may be on the member alone.
    for (auto& member : members_)
        member.resync_offset = 0;
    EXPECT_EQ(error_of(plan_without({1})), EUCLEAN);
}

TEST_F(MdAssembleReplacement, WithoutItNothingIsMissing) {
    const auto made = plan_without({4}, {});
    ASSERT_TRUE(made) << made.error().what;
    EXPECT_EQ(seats(*made), "m0 m1 m2 m3 ");
    EXPECT_TRUE(made->missing.empty());
    EXPECT_FALSE(made->replacement);
}

TEST_F(MdAssembleReplacement, WhereAnotherMemberIsMissingTheArrayNeedsTheDevice) {
    const auto made = plan_without({2});
    ASSERT_TRUE(made) << made.error().what;
    EXPECT_EQ(seats(*made), "m0 m1 - m3 ");
    EXPECT_FALSE(made->replacement);
    EXPECT_EQ(why_excluded(*made, "m4"), exclusion::spare);
    EXPECT_EQ(error_of(plan_without({1, 2})), ENODEV) << "two are";
}

TEST_F(MdAssembleReplacement, AfterACrashNothingOfItIsBelieved) {
    for (auto& member : members_)
        member.resync_offset = 0;
    const auto made = plan_members({});
    ASSERT_TRUE(made) << made.error().what;
    EXPECT_TRUE(made->needs_resync);
    ASSERT_TRUE(made->replacement);
    EXPECT_EQ(made->replacement->sectors, 0U);
    EXPECT_EQ(made->replacement->device.superblock.recovery_offset, 0U);
    copy().feature_map &= ~uint32_t{md::feature_recovery_offset};
    EXPECT_EQ(plan_members({})->replacement->sectors, 0U) << "although it says that it has all";
}

TEST_F(MdAssembleReplacement, OneThatTheOthersDoNotKnowIsLeftOut) {
    for (size_t i = 0; i < 4; i++)
        members_[i].dev_roles[4] = md::role_spare;
    const auto made = plan_members({});
    ASSERT_TRUE(made) << made.error().what;
    EXPECT_EQ(seats(*made), "m0 m1 m2 m3 ");
    EXPECT_FALSE(made->replacement);
    EXPECT_EQ(why_excluded(*made, "m4"), exclusion::bad_role);
}

TEST_F(MdAssembleReplacement, OneThatWasGivenUpIsLeftOut) {
    for (const uint16_t became : {md::role_spare, md::role_faulty}) {
        for (size_t i = 0; i < 4; i++) {
            members_[i].dev_roles[4] = became;
            members_[i].events = 101;
        }
        const auto made = plan_members({});
        ASSERT_TRUE(made) << made.error().what;
        EXPECT_FALSE(made->replacement);
        EXPECT_TRUE(made->spares.empty()) << "somebody may want what is on it";
        EXPECT_TRUE(why_excluded(*made, "m4"));
    }
}

TEST_F(MdAssembleReplacement, OneThatCannotBeUsedIsNoReasonToRefuse) {
    auto all = as_candidates(members_);
    all[4].unusable = Error{EROFS, "m4 is read-only", ""};
    const auto made = plan(all, {});
    ASSERT_TRUE(made) << made.error().what;
    EXPECT_FALSE(made->replacement);
    EXPECT_EQ(why_excluded(*made, "m4"), exclusion::spare);
    all.erase(all.begin() + 1);
    EXPECT_EQ(error_of(plan(all)), EROFS) << "in its member's place it is one";
    copy().feature_map |= md::feature_bad_blocks;
    copy().bblog_sectors = 8;
    copy().bblog_offset = -16;
    copy().devflags = 0;
    EXPECT_TRUE(plan_members({}));
}

TEST_F(MdAssembleReplacement, TwoAreTooMany) {
    members_.push_back(members_[4]);
    members_[5].dev_number = 5;
    members_[5].device_uuid[0] ^= 1;
    give_number(5, 2);
    EXPECT_EQ(error_of(plan_members({})), ENOTSUP);
    EXPECT_NE(plan_members({}).error().hint.find("mdadm"), std::string::npos);
    EXPECT_TRUE(plan_without({5}, {})) << "one of them may be left out";
    give_number(5, 1);
    EXPECT_EQ(error_of(plan_members({})), ENOTSUP);
}

TEST(MdAssembleMost, AnArrayWithoutRoomForAReplacementIsLeftToMd) {
    md::new_array spec = four_members();
    spec.member_sectors.assign(RR_MEMBERS_MAX, device_sectors);
    auto members = must_make(spec);
    members.push_back(md::make_spare(members[0], device_sectors, {}).value());
    members.back().feature_map |= md::feature_recovery_offset | md::feature_replacement;
    for (auto& member : members) {
        member.dev_roles.resize(RR_MEMBERS_MAX + 1, md::role_spare);
        member.dev_roles[RR_MEMBERS_MAX] = 1;
    }
    const auto made = plan(as_candidates(members), {});
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().err, ENOTSUP);
    members.pop_back();
    EXPECT_TRUE(plan(as_candidates(members), {}));
}

}  // namespace
}  // namespace rr::test
