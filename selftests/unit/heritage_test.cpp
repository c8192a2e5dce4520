// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A successor uses members only where they are what the dead daemon left: each
// fact that may differ, differs once.
#include "service/heritage.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>

#include "ringraid/abi.h"

namespace rr {
namespace {

constexpr uint32_t count = 4;
constexpr uint64_t left_events = 7;
constexpr uint64_t made_at = 1700000000 | uint64_t{7} << 40;  // with microseconds
constexpr uint64_t later = 1700000100 | uint64_t{9} << 40;

md::uuid uuid_of(uint8_t byte) {
    md::uuid id;
    id.fill(byte);
    return id;
}

class Heritage : public testing::Test {
protected:
    Heritage() {
        members_.plan.geometry = {count, 7, 2};
        members_.plan.set_uuid = uuid_of(0xaa);
        members_.plan.name = "host:data";
        members_.plan.events = left_events;
        members_.plan.member_sectors = 4096;
        members_.plan.members.resize(count);
        members_.devices.resize(count);
        members_.found.resize(count);
        for (uint32_t role = 0; role < count; role++) {
            md::md_superblock& sb = members_.found[role];
            sb.device_uuid = uuid_of(static_cast<uint8_t>(role + 1));
            sb.events = left_events;
            sb.utime = made_at;
            sb.data_offset = 2048;
            members_.plan.members[role] = md::assembled_member{role, "", sb};
            members_.devices[role].emplace();
            members_.devices[role]->path = "/dev/disk" + std::to_string(role);
            members_.devices[role]->identity.text = "wwid:" + std::to_string(role);
            array_.members[role].data_offset = 2048;
        }
        array_.geometry = members_.plan.geometry;
        array_.member_sectors = members_.plan.member_sectors;
        fill_life(life_, members_, engine_host::bpf, false);
    }
    int verdict() {
        Status same = check_heritage(array_, life_, members_);
        if (same)
            return 0;
        said_ = same.error().what;
        return same.error().err;
    }

    array_members members_;
    rr_array array_{};
    rr_life life_{};
    std::string said_;
};

TEST_F(Heritage, TheSameMembersAgree) {
    EXPECT_EQ(verdict(), 0);
    EXPECT_EQ(life_name(life_), "host:data");
    EXPECT_EQ(life_path(life_, 2), "/dev/disk2");
    EXPECT_EQ(life_.phase, RR_LIFE_MAKING);
}

TEST_F(Heritage, AnotherArraysArenaIsRefused) {
    members_.plan.set_uuid = uuid_of(0xbb);
    EXPECT_EQ(verdict(), ESTALE);
    EXPECT_NE(said_.find("another array"), std::string::npos);
}

TEST_F(Heritage, AnotherShapeIsRefused) {
    for (uint32_t rr_geometry::* field :
         {&rr_geometry::members, &rr_geometry::chunk_shift, &rr_geometry::layout}) {
        array_.geometry.*field += 1;
        EXPECT_EQ(verdict(), ESTALE);
        array_.geometry.*field -= 1;
    }
    array_.member_sectors += 128;
    EXPECT_EQ(verdict(), ESTALE);
}

TEST_F(Heritage, EachMemberIsComparedByUuidDiskEventsAndOffset) {
    for (uint32_t role = 0; role < count; role++) {
        SCOPED_TRACE(role);
        const std::string path = members_.devices[role]->path;
        md::md_superblock& sb = members_.found[role];
        sb.device_uuid = uuid_of(0xcc);
        EXPECT_EQ(verdict(), ESTALE);
        EXPECT_NE(said_.find(path), std::string::npos);
        sb.device_uuid = uuid_of(static_cast<uint8_t>(role + 1));

        members_.devices[role]->identity.text = "wwid:a copy";
        EXPECT_EQ(verdict(), ESTALE);
        EXPECT_NE(said_.find("another disk"), std::string::npos);
        members_.devices[role]->identity.text = "wwid:" + std::to_string(role);

        for (uint64_t events : {left_events - 1, left_events + 1, left_events + 12}) {
            sb.events = events;
            EXPECT_EQ(verdict(), ESTALE) << events;
        }
        sb.events = left_events;
        array_.members[role].data_offset += 8;
        EXPECT_EQ(verdict(), ESTALE);
        array_.members[role].data_offset -= 8;
        EXPECT_EQ(verdict(), 0);
    }
}

// A write of superblocks that was cut off leaves some of them one ahead.
TEST_F(Heritage, EventsMayBeThoseOfAWriteThatWasCutOff) {
    life_begins_write(life_, left_events + 1, later);
    members_.found[1].events = left_events + 1;
    EXPECT_EQ(verdict(), 0);
    members_.found[1].events = left_events + 2;
    EXPECT_EQ(verdict(), ESTALE);
    // Once it is known to be durable everywhere, nobody may be behind.
    life_wrote(life_, left_events + 1, later);
    members_.found[1].events = left_events + 1;
    EXPECT_EQ(verdict(), ESTALE);
    for (md::md_superblock& sb : members_.found) {
        sb.events = left_events + 1;
        sb.utime = later;
    }
    EXPECT_EQ(verdict(), 0);
}

// md takes the event of "dirty" back with the one of "clean": only the time tells of it.
TEST_F(Heritage, TheSameEventsAtAnotherTimeAreSomebodyElses) {
    constexpr uint64_t last = 1700000200 | uint64_t{3} << 40;
    auto written_at = [this](uint64_t utime) {
        members_.found[2].utime = utime;
        return verdict();
    };
    EXPECT_EQ(written_at(later), ESTALE) << "nothing was written by us yet";
    EXPECT_EQ(written_at(made_at), 0);
    life_begins_write(life_, left_events, later);
    EXPECT_EQ(written_at(later), 0) << "cut off";
    EXPECT_EQ(written_at(1700000050 | uint64_t{1} << 40), 0) << "one of ours, cut off before it";
    EXPECT_EQ(written_at(1700000050), ESTALE) << "md's: a whole second";
    life_wrote(life_, left_events, later);
    for (md::md_superblock& sb : members_.found)
        sb.utime = later;
    EXPECT_EQ(verdict(), 0);
    EXPECT_EQ(written_at(made_at), ESTALE) << "as it was before us";
    EXPECT_EQ(written_at(1700000150), ESTALE) << "md's: a whole second";
    EXPECT_EQ(written_at(later + 1), ESTALE);
    life_begins_write(life_, left_events, last);
    EXPECT_EQ(written_at(1700000150), ESTALE) << "md's: a whole second";
    EXPECT_EQ(written_at(1700000150 | uint64_t{1} << 40), 0)
        << "one of ours between, which one member missed";
    EXPECT_EQ(written_at(last), 0);
}

TEST_F(Heritage, MembersThatFailedOrAreMissingAreNotCompared) {
    members_.found[3].events = 1;
    members_.devices[3]->identity.text = "wwid:9";
    EXPECT_EQ(verdict(), ESTALE);
    array_.state = 1U << 3;
    EXPECT_EQ(verdict(), 0);
    array_.state = 0;
    members_.devices[3].reset();
    EXPECT_EQ(verdict(), 0);
}

// Only of a disk that can lose something, and is known for itself.
TEST_F(Heritage, ADiskThatWasAwayIsKnownByItsSequenceNumber) {
    member_device& device = *members_.devices[1];
    device.identity = {"wwid:1", true, 0, 5};
    fill_life(life_, members_, engine_host::bpf, false);
    EXPECT_FALSE(was_away(life_, 1, device));
    device.identity.diskseq = 6;
    EXPECT_TRUE(was_away(life_, 1, device));
    device.limits.volatile_cache = false;
    EXPECT_FALSE(was_away(life_, 1, device));
    device.limits.volatile_cache = true;
    device.identity.strong = false;
    EXPECT_FALSE(was_away(life_, 1, device));
    device.limits.volatile_cache = false;
    device.identity.text = "7:1#6";
    EXPECT_TRUE(was_away(life_, 1, device));
    device.limits.volatile_cache = true;
    for (const char* anew : {"dm.LVM-x", "md.1234"}) {
        device.identity = {anew, true, 0, 6};
        EXPECT_FALSE(was_away(life_, 1, device)) << anew;
    }
    device.identity = {"wwid:1", true, 0, 6};
    remember_place(life_, 1, device);
    EXPECT_FALSE(was_away(life_, 1, device));
}

TEST_F(Heritage, WhatComesBackIsComparedWithTheDiskThatHadTheRole) {
    EXPECT_FALSE(is_another_disk(life_, 1, *members_.devices[1]));
    EXPECT_TRUE(is_another_disk(life_, 1, *members_.devices[2]));
    // Missing since the start: nobody knows which disk it was.
    members_.devices[1].reset();
    fill_life(life_, members_, engine_host::bpf, false);
    EXPECT_FALSE(is_another_disk(life_, 1, *members_.devices[2]));
}

// Member 1 is being replaced.
class HeritageOfTwo : public Heritage {
protected:
    static constexpr uint32_t role = 1;
    HeritageOfTwo() {
        replacement_device& copy = members_.replacement.emplace();
        copy.role = role;
        copy.device.path = "/dev/disk9";
        copy.device.identity = {"wwid:9", true, 0, 9};
        copy.found = members_.found[role];
        copy.found.device_uuid = uuid_of(9);
        copy.found.data_offset = 4096;
        copy.superblock = copy.found;
        array_.members[count].data_offset = 4096;
        array_.replaced = role;
        array_.state |= RR_STATE_REPLACE;
        fill_life(life_, members_, engine_host::bpf, false);
    }
    // The dead daemon had written the superblocks, and not its record.
    void give_role() {
        members_.found[role] = members_.replacement->found;
        members_.devices[role] = std::move(members_.replacement->device);
        members_.replacement.reset();
    }
};

TEST_F(HeritageOfTwo, TheReplacementIsComparedAsAMemberIs) {
    EXPECT_EQ(verdict(), 0);
    replacement_device& copy = *members_.replacement;
    copy.device.identity.text = "wwid:a copy";
    EXPECT_EQ(verdict(), ESTALE);
    EXPECT_NE(said_.find("another disk"), std::string::npos);
    copy.device.identity.text = "wwid:9";
    copy.found.device_uuid = uuid_of(8);
    EXPECT_EQ(verdict(), ESTALE);
    copy.found.device_uuid = uuid_of(9);
    copy.found.events--;
    EXPECT_EQ(verdict(), ESTALE);
    copy.found.events++;
    copy.found.data_offset += 8;
    EXPECT_EQ(verdict(), ESTALE);
    EXPECT_NE(said_.find("has moved"), std::string::npos);
    // What the dead daemon had given up is not compared.
    array_.state &= ~RR_STATE_REPLACE;
    EXPECT_EQ(verdict(), 0);
}

TEST_F(HeritageOfTwo, OneOfAnotherMemberIsRefused) {
    members_.replacement->role = 2;
    EXPECT_EQ(verdict(), ESTALE);
    EXPECT_NE(said_.find("another member"), std::string::npos);
}

TEST_F(HeritageOfTwo, OneThatIsNotThereIsNoMatter) {
    members_.replacement.reset();
    EXPECT_EQ(verdict(), 0);
    EXPECT_FALSE(has_replaced(array_, life_, members_));
}

TEST_F(HeritageOfTwo, OneThatHasItsRoleIsTheMemberOnceTheRestIsDone) {
    EXPECT_FALSE(has_replaced(array_, life_, members_));
    give_role();
    EXPECT_TRUE(has_replaced(array_, life_, members_));
    EXPECT_EQ(verdict(), 0);
    array_.job.kind = RR_JOB_REPLACE;
    const uint64_t epoch = array_.state >> RR_STATE_EPOCH_SHIFT;
    end_replaced(array_, life_, members_);
    EXPECT_EQ(array_.members[role].data_offset, 4096U);
    EXPECT_EQ(array_.state & (RR_STATE_REPLACE | RR_STATE_MISSING), 0U);
    EXPECT_EQ(array_.state >> RR_STATE_EPOCH_SHIFT, epoch + 1);
    EXPECT_EQ(array_.job.kind, rr_u32{RR_JOB_NONE});
    EXPECT_EQ(life_identity(life_, role), "wwid:9");
    EXPECT_EQ(life_identity(life_, count), "");
    EXPECT_FALSE(has_replaced(array_, life_, members_));
    EXPECT_EQ(verdict(), 0) << "killed again, its successor finds it";
}

TEST_F(HeritageOfTwo, NobodyElseHasIt) {
    give_role();
    members_.found[role].device_uuid = uuid_of(8);
    EXPECT_FALSE(has_replaced(array_, life_, members_));
    EXPECT_EQ(verdict(), ESTALE);
    members_.found[role].device_uuid = uuid_of(9);
    array_.state &= ~RR_STATE_REPLACE;
    EXPECT_FALSE(has_replaced(array_, life_, members_));
    EXPECT_EQ(verdict(), ESTALE);
}

// Its record is that of a device behind the roles; the other one's says that it was away.
TEST_F(HeritageOfTwo, OneThatHasItsRoleWasNotAway) {
    EXPECT_EQ(index_left(array_, life_, members_, role), role);
    give_role();
    EXPECT_EQ(index_left(array_, life_, members_, role), count);
    EXPECT_EQ(index_left(array_, life_, members_, 2), 2U);
    EXPECT_FALSE(
        was_away(life_, index_left(array_, life_, members_, role), *members_.devices[role]));
}

TEST_F(Heritage, ARecordThatMakesNoSenseIsNone) {
    life_.phase = RR_LIFE_CLOSED + 1;
    EXPECT_EQ(check_life(life_, members_.plan.set_uuid).error().err, EINVAL);
    life_.phase = RR_LIFE_SERVING;
    life_.engine = 2;
    EXPECT_EQ(check_life(life_, members_.plan.set_uuid).error().err, EINVAL);
}

TEST_F(Heritage, TextsThatAreTooLongEndWhereTheRecordEnds) {
    members_.devices[0]->path = std::string(1000, 'x');
    remember_place(life_, 0, *members_.devices[0]);
    EXPECT_EQ(life_path(life_, 0).size(), RR_LIFE_PATH_BYTES - 1U);
    std::memset(life_.members[0].path, 'y', RR_LIFE_PATH_BYTES);
    EXPECT_EQ(life_path(life_, 0).size(), size_t{RR_LIFE_PATH_BYTES});
}

}  // namespace
}  // namespace rr
