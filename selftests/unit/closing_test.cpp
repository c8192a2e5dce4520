// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The end of a service: what a stop leaves on members of which some cannot be
// flushed or written.
#include "service/closing.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <set>

#include "md_helpers.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {
namespace {

constexpr uint32_t count = 4;

// Superblocks go to memory; members in unwritable_ refuse theirs.
class Closing : public testing::Test {
protected:
    Closing() {
        const auto made = test::must_make(test::four_members());
        array_.geometry.members = count;
        members_.devices.resize(count);
        members_.plan.members.resize(count);
        for (uint32_t role = 0; role < count; role++) {
            members_.devices[role].emplace();
            members_.devices[role]->fd.reset(::memfd_create("member", MFD_CLOEXEC));
            members_.devices[role]->path = "member";
            members_.plan.members[role] = md::assembled_member{role, "member", made[role]};
        }
    }
    void serve() {
        metadata_.emplace(members_.metadata_state(),
                          [this](uint32_t role, const md::md_superblock& sb) -> Status {
                              if (unwritable_.contains(role))
                                  return fail(EIO, "no");
                              disk_[role] = sb;
                              return {};
                          });
        ASSERT_TRUE(metadata_->mark_dirty());
    }
    // A descriptor that no flush works on.
    void break_flush(uint32_t role) {
        int ends[2];
        ASSERT_EQ(::pipe(ends), 0);
        ::close(ends[1]);
        members_.devices[role]->fd.reset(ends[0]);
    }
    int close() {
        Status closed = close_array(array_, *metadata_, members_);
        return closed ? 0 : closed.error().err;
    }
    // The superblock says clean, and which roles are in use.
    void expect_clean_without(const std::set<uint32_t>& lost) {
        for (const auto& [role, sb] : disk_) {
            if (lost.contains(role))
                continue;
            EXPECT_TRUE(sb.clean()) << role;
            for (uint32_t other = 0; other < count; other++)
                EXPECT_EQ(sb.role_of(other) == other, !lost.contains(other)) << role << other;
        }
    }

    rr_array array_{};
    array_members members_;
    std::optional<md::array_metadata> metadata_;
    std::map<uint32_t, md::md_superblock> disk_;
    std::set<uint32_t> unwritable_;
};

TEST_F(Closing, AHealthyArrayIsClean) {
    serve();
    EXPECT_EQ(close(), 0);
    expect_clean_without({});
}

TEST_F(Closing, AMemberThatCannotBeFlushedIsRecordedAndTheRestIsClean) {
    for (uint32_t lost = 0; lost < count; lost++) {
        array_.state = 0;
        serve();
        Fd kept = std::move(members_.devices[lost]->fd);
        break_flush(lost);
        EXPECT_EQ(close(), 0);
        expect_clean_without({lost});
        members_.devices[lost]->fd = std::move(kept);
    }
}

TEST_F(Closing, AMemberWhoseSuperblockCannotBeWrittenIsRecordedAndTheRestIsClean) {
    for (uint32_t lost = 0; lost < count; lost++) {
        array_.state = 0;
        serve();
        unwritable_ = {lost};
        EXPECT_EQ(close(), 0);
        EXPECT_FALSE(disk_[lost].clean()) << "it was not written";
        expect_clean_without({lost});
        unwritable_.clear();
    }
}

TEST_F(Closing, TwoOfThemLeaveTheArrayDirty) {
    serve();
    break_flush(0);
    break_flush(2);
    EXPECT_EQ(close(), EIO);
    for (const auto& [role, sb] : disk_)
        EXPECT_FALSE(sb.clean()) << role;
}

TEST_F(Closing, OneThatCannotBeFlushedAndOneThatCannotBeWrittenLeaveItDirty) {
    serve();
    break_flush(1);
    unwritable_ = {3};
    EXPECT_EQ(close(), EIO);
    EXPECT_FALSE(disk_[0].clean());
    EXPECT_FALSE(disk_[2].clean());
}

TEST_F(Closing, ADegradedArrayIsCleanWhenTheOthersAre) {
    serve();
    ASSERT_EQ(rr_host_fail(&array_, 1, -EIO), 1);
    EXPECT_EQ(close(), 0);
    expect_clean_without({1});
}

TEST_F(Closing, ABrokenArrayIsNotCalledClean) {
    serve();
    rr_host_fail(&array_, 1, -EIO);
    rr_host_fail(&array_, 2, -EIO);
    EXPECT_EQ(close(), EIO);
    for (const auto& [role, sb] : disk_)
        EXPECT_FALSE(sb.clean()) << role;
}

// Member 1 is being replaced.
class ClosingOfTwo : public Closing {
protected:
    static constexpr uint32_t index = count;
    ClosingOfTwo() {
        replacement_device& copy = members_.replacement.emplace();
        copy.role = 1;
        copy.device.fd.reset(::memfd_create("replacement", MFD_CLOEXEC));
        array_.replaced = 1;
        array_.state |= RR_STATE_REPLACE;
    }
    void serve_both() {
        auto own = md::make_spare(members_.plan.members[0]->superblock, 131072, {});
        ASSERT_TRUE(own);
        own->feature_map |= md::feature_recovery_offset | md::feature_replacement;
        own->dev_roles[4] = 1;
        for (auto& member : members_.plan.members)
            member->superblock.dev_roles = own->dev_roles;
        members_.replacement->superblock = *own;
        serve();
    }
};

TEST_F(ClosingOfTwo, TheReplacementIsCleanAsWell) {
    serve_both();
    EXPECT_EQ(close(), 0);
    expect_clean_without({});
    EXPECT_TRUE(disk_[index].clean());
    EXPECT_TRUE(disk_[index].has(md::feature_replacement));
    EXPECT_EQ(disk_[0].role_of(4), 1U);
}

TEST_F(ClosingOfTwo, OneThatCannotBeFlushedIsGivenUpAndNothingElse) {
    serve_both();
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    ::close(ends[1]);
    members_.replacement->device.fd.reset(ends[0]);
    EXPECT_EQ(close(), 0);
    EXPECT_EQ(array_.state & (RR_STATE_REPLACE | RR_STATE_MISSING), 0U);
    EXPECT_FALSE(metadata_->replacement());
    disk_.erase(index);
    expect_clean_without({});
    EXPECT_EQ(disk_[0].role_of(4), md::role_faulty);
}

TEST_F(ClosingOfTwo, OneThatTakesNoSuperblockIsGivenUpAndNothingElse) {
    serve_both();
    unwritable_ = {index};
    EXPECT_EQ(close(), 0);
    EXPECT_FALSE(disk_[index].clean());
    disk_.erase(index);
    expect_clean_without({});
    EXPECT_EQ(disk_[0].role_of(4), md::role_faulty);
}

TEST_F(ClosingOfTwo, AMemberThatIsLostEndsIt) {
    serve_both();
    break_flush(2);
    EXPECT_EQ(close(), 0);
    EXPECT_FALSE(metadata_->replacement());
    disk_.erase(index);
    expect_clean_without({2});
    EXPECT_EQ(disk_[0].role_of(4), md::role_spare);
}

TEST_F(ClosingOfTwo, WhatADeadDaemonGaveUpIsLetGo) {
    take_out_as_left(members_, array_);
    EXPECT_TRUE(members_.replacement);
    array_.members[index].error = EIO;
    take_out_as_left(members_, array_);
    EXPECT_FALSE(members_.replacement);
    members_.replacement.emplace();
    array_.members[index].error = 0;
    array_.state = 1U << 2;
    take_out_as_left(members_, array_);
    EXPECT_FALSE(members_.replacement) << "the array has better use for it";
}

// A takeover that comes to nothing.
TEST_F(ClosingOfTwo, ALossThatNoSuperblockTellsOfIsForgotten) {
    serve_both();
    const failures_so_far before(array_);
    rr_host_fail(&array_, index, -EIO);
    before.restore(array_, &*metadata_);
    EXPECT_NE(array_.state & RR_STATE_REPLACE, 0U);
    EXPECT_EQ(array_.members[index].error, 0);
    take_out_as_left(members_, array_);
    EXPECT_TRUE(members_.replacement) << "the next one may try it again";
    const uint64_t epoch = array_.state >> RR_STATE_EPOCH_SHIFT;
    rr_host_fail(&array_, index, -EIO);
    EXPECT_TRUE(lost_replacement(array_, *metadata_));
    ASSERT_TRUE(metadata_->end_replacement(true));
    EXPECT_FALSE(lost_replacement(array_, *metadata_));
    before.restore(array_, &*metadata_);
    EXPECT_EQ(array_.state & RR_STATE_REPLACE, 0U);
    EXPECT_EQ(array_.state >> RR_STATE_EPOCH_SHIFT, epoch + 1);
}

}  // namespace
}  // namespace rr
