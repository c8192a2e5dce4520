// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Which bitmap an array starts with, of what its members have of it.
#include "md_helpers.h"
#include "service/membership.h"

namespace rr::test {
namespace {

using md::bitmap;

constexpr uint64_t sectors = 131072;

class FindBitmap : public testing::Test {
protected:
    FindBitmap() {
        md::new_array spec = four_members(sectors);
        spec.policy = md::consistency::bitmap;
        members_.found = must_make(spec);
        members_.devices.resize(4);
        members_.plan.set_uuid = members_.found[0].set_uuid;
        members_.plan.member_sectors = members_.found[0].size;
        members_.plan.events = 10;
        for (uint32_t role = 0; role < 4; role++) {
            const std::string path = dir_.file(fmt::format("m{}", role), sectors);
            members_.devices[role].emplace();
            members_.devices[role]->fd = open_file(path);
            members_.found[role].events = 10;
            members_.plan.members.emplace_back(
                md::assembled_member{role, path, members_.found[role]});
            put(role, 10, {});
        }
    }
    // The copy of @role, in chunks of 64 KiB.
    void put(uint32_t role, uint64_t events, std::initializer_list<uint64_t> bits) {
        bitmap b(members_.plan.set_uuid, members_.plan.member_sectors, 128, false);
        b.set_events(events);
        b.set_events_cleared(4);
        for (const uint64_t bit : bits)
            b.set(bit * 128, bit * 128 + 1);
        ASSERT_TRUE(
            md::write_bitmap(members_.devices[role]->fd.get(), superblock(role), b, b.all_pages()));
    }
    void spoil(uint32_t role) {
        const std::array<uint8_t, 4> wrong{};
        ASSERT_EQ(::pwrite(members_.devices[role]->fd.get(), wrong.data(), 4, 8192), 4);
    }
    md::md_superblock& superblock(uint32_t role) { return members_.plan.members[role]->superblock; }
    uint64_t bits_in_all() { return (members_.plan.member_sectors + 127) / 128; }
    [[nodiscard]] uint32_t cleared() const { return members_.plan.features_to_clear; }

    scratch_dir dir_;
    array_members members_;
};

TEST_F(FindBitmap, IsTheUnionOfWhatIsUpToDate) {
    put(0, 10, {1});
    put(1, 11, {2});
    put(2, 9, {3});
    find_bitmap(members_);
    ASSERT_TRUE(members_.bitmap);
    EXPECT_EQ(members_.bitmap->count(), 2U);
    EXPECT_TRUE(members_.bitmap->test(1));
    EXPECT_TRUE(members_.bitmap->test(2));
    EXPECT_EQ(members_.bitmap->events_cleared(), 4U);
    EXPECT_EQ(cleared(), 0U);
}

TEST_F(FindBitmap, AMemberThatIsNotThereIsNotAsked) {
    put(0, 10, {1});
    members_.plan.members[3].reset();
    members_.devices[3].reset();
    find_bitmap(members_);
    ASSERT_TRUE(members_.bitmap);
    EXPECT_EQ(members_.bitmap->count(), 1U);
}

TEST_F(FindBitmap, WhatIsBeingRebuiltSaysNothing) {
    put(0, 10, {1});
    put(2, 10, {7});
    members_.plan.rebuilding = md::rebuilding_member{2, 0, true};
    find_bitmap(members_);
    ASSERT_TRUE(members_.bitmap);
    EXPECT_FALSE(members_.bitmap->test(7));
    EXPECT_EQ(members_.bitmap->count(), 1U);
}

TEST_F(FindBitmap, WhereNoneIsGoodAllRowsCount) {
    for (uint32_t role = 0; role < 4; role++)
        role < 2 ? spoil(role) : put(role, 9, {1});
    find_bitmap(members_);
    ASSERT_TRUE(members_.bitmap);
    EXPECT_EQ(members_.bitmap->count(), members_.bitmap->bits());
    EXPECT_EQ(members_.bitmap->sync_sectors(), members_.plan.member_sectors);
    EXPECT_EQ(members_.bitmap->chunk_sectors(), bitmap::default_chunk_sectors);
    EXPECT_EQ(cleared(), 0U);
}

TEST_F(FindBitmap, CopiesOfTwoShapesAreNone) {
    bitmap other(members_.plan.set_uuid, members_.plan.member_sectors, 256, false);
    other.set_events(10);
    ASSERT_TRUE(
        md::write_bitmap(members_.devices[1]->fd.get(), superblock(1), other, other.all_pages()));
    find_bitmap(members_);
    ASSERT_TRUE(members_.bitmap);
    EXPECT_EQ(members_.bitmap->count(), members_.bitmap->bits());
}

TEST_F(FindBitmap, WithoutTheFeatureThereIsNone) {
    for (uint32_t role = 0; role < 4; role++)
        superblock(role).feature_map = 0;
    find_bitmap(members_);
    EXPECT_FALSE(members_.bitmap);
    EXPECT_EQ(cleared() & md::feature_bitmap, 0U);
}

// The device that gets only what it missed would have it in vain, and a tool may believe it.
TEST_F(FindBitmap, WithoutABitmapNobodyIsRebuiltByIt) {
    for (uint32_t role = 0; role < 4; role++)
        superblock(role).feature_map = 0;
    members_.plan.rebuilding = md::rebuilding_member{2, 0, true};
    find_bitmap(members_);
    EXPECT_EQ(cleared(), uint32_t{md::feature_recovery_bitmap});
    EXPECT_FALSE(members_.plan.rebuilding->by_bitmap);
}

TEST_F(FindBitmap, WhereNotAllHaveItItIsGivenUp) {
    superblock(1).feature_map = 0;
    members_.plan.rebuilding = md::rebuilding_member{2, 0, true};
    for (const uint32_t role : {0, 3})
        spoil(role);
    find_bitmap(members_);
    EXPECT_FALSE(members_.bitmap);
    EXPECT_EQ(cleared(), md::feature_bitmap | md::feature_recovery_bitmap);
    EXPECT_FALSE(members_.plan.rebuilding->by_bitmap);
}

TEST_F(FindBitmap, WhereThereIsNoRoomItIsGivenUp) {
    for (uint32_t role = 0; role < 4; role++)
        spoil(role);
    superblock(3).log_place = static_cast<int32_t>(superblock(3).data_offset);
    find_bitmap(members_);
    EXPECT_FALSE(members_.bitmap);
    EXPECT_NE(cleared() & md::feature_bitmap, 0U);
}

// What is good on some does not help a member that has no place for it.
TEST_F(FindBitmap, AGoodCopyNeedsAPlaceOnEveryMember) {
    superblock(3).log_place = static_cast<int32_t>(superblock(3).data_offset);
    find_bitmap(members_);
    EXPECT_FALSE(members_.bitmap);
    EXPECT_NE(cleared() & md::feature_bitmap, 0U);
}

TEST_F(FindBitmap, AGoodCopyNeedsTheFeatureOnEveryMember) {
    superblock(1).feature_map = 0;
    superblock(1).log_place = 0;
    find_bitmap(members_);
    EXPECT_FALSE(members_.bitmap);
    EXPECT_NE(cleared() & md::feature_bitmap, 0U);
}

}  // namespace
}  // namespace rr::test
