// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The control plane's half of rest, beside real queues: the superblocks say clean only
// while no write can start, whatever fails on the way.
#include "service/rest.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <set>

#include "engine_under_test.h"
#include "md_helpers.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint32_t count = 4;

class Rest : public testing::Test {
protected:
    Rest() : array_(two_queues()) {
        metadata_.emplace(test::state_of(test::four_members()),
                          [this](uint32_t role, const md::md_superblock& sb) -> Status {
                              if (unwritable_.contains(role))
                                  return fail(EIO, "no");
                              // A write may start at any time where the array is awake.
                              EXPECT_TRUE(!sb.clean() || array_->rest != 0);
                              EXPECT_TRUE(!sb.clean() || flushes_ != 0);
                              disk_[role] = sb;
                              return {};
                          });
        EXPECT_TRUE(metadata_->mark_dirty());
        rest_.emplace(array_.get(), array_rest::needs{seconds(5), [this] { wakes_++; },
                                                      [this] {
                                                          flushes_++;
                                                          if (unflushable_)
                                                              rr_host_fail(array_.get(), 1, -EIO);
                                                      },
                                                      [this] { record(); }});
        now_ = array_rest::clock::now();
        look();
    }
    static array_config two_queues() {
        array_config c = test::shape(count, 128);
        c.queues = 2;
        return c;
    }
    void record() {
        for (uint32_t role = 0; role < count; role++) {
            if (array_->state >> role & 1)
                (void)metadata_->mark_failed(role);
        }
        array_->durable_epoch = static_cast<uint32_t>(array_->state >> RR_STATE_EPOCH_SHIFT);
    }
    void look(milliseconds later = milliseconds(0)) {
        now_ += later;
        rest_->look(*metadata_, now_);
    }
    void messages() {
        for (uint32_t q = 0; q < 2; q++)
            rr_host_message(array_.get(), q);
    }
    void write(uint32_t queue, uint32_t tag) {
        rr_request* r = rr_host_request(array_.get(), queue, tag);
        r->sector = 0;
        r->sectors = 8;
        r->op = RR_OP_WRITE;
        r->flags = 0;
        rr_host_start(array_.get(), queue, tag);
    }
    // Every member I/O and copy that was asked for is done, at once.
    void finish(uint32_t queue) {
        while (const rr_action* a = rr_host_action(array_.get(), queue)) {
            const rr_action done = *a;
            if (done.act == RR_ACT_COMMIT)
                answers_++;
            else
                rr_host_complete(array_.get(), queue, done.token,
                                 done.act == RR_ACT_FLUSH ? 0 : static_cast<int>(done.length));
        }
    }
    bool starts(uint32_t queue) {
        return rr_host_queue(array_.get(), queue)->action_head !=
               rr_host_queue(array_.get(), queue)->action_tail;
    }
    bool disks_are_clean() {
        for (const auto& [role, sb] : disk_) {
            if (!sb.clean() && !(array_->state >> role & 1))
                return false;
        }
        return true;
    }
    void lie_down() {
        look(seconds(6));
        ASSERT_NE(array_->rest, 0U);
        messages();
        look();
        ASSERT_TRUE(rest_->is_clean());
        ASSERT_TRUE(disks_are_clean());
    }

    test::small_array array_;
    std::optional<md::array_metadata> metadata_;
    std::optional<array_rest> rest_;
    array_rest::clock::time_point now_;
    std::map<uint32_t, md::md_superblock> disk_;
    std::set<uint32_t> unwritable_;
    bool unflushable_ = false;
    int wakes_ = 0, flushes_ = 0, answers_ = 0;
};

TEST_F(Rest, ComesWhenNothingWasWrittenForLongEnough) {
    look(seconds(4));
    EXPECT_EQ(array_->rest, 0U);
    array_.queue(1)->writes_came++;
    look(seconds(2));
    look(seconds(4));
    EXPECT_EQ(array_->rest, 0U);
    lie_down();
    EXPECT_EQ(flushes_, 1);
}

TEST_F(Rest, WaitsForEveryQueueAndIsTakenBack) {
    look(seconds(6));
    rr_host_message(array_.get(), 0);
    look(milliseconds(20));
    EXPECT_FALSE(rest_->is_clean());
    EXPECT_FALSE(disks_are_clean());
    EXPECT_EQ(rest_->wait(), milliseconds(20));
    look(seconds(3));
    EXPECT_EQ(array_->rest, 0U);
    // What the first queue has said counts for nothing any more.
    look(seconds(6));
    EXPECT_NE(array_->rest, 0U);
    rr_host_message(array_.get(), 1);
    look();
    EXPECT_FALSE(rest_->is_clean());
}

TEST_F(Rest, DoesNotComeWhileAWriteIsOpen) {
    write(0, 0);
    look();
    look(seconds(6));
    messages();
    look();
    EXPECT_FALSE(rest_->is_clean());
    finish(0);
    EXPECT_EQ(answers_, 1);
    messages();
    look();
    EXPECT_TRUE(rest_->is_clean());
}

TEST_F(Rest, AWriteWaitsUntilTheSuperblocksSayDirty) {
    lie_down();
    write(1, 3);
    EXPECT_FALSE(starts(1));
    EXPECT_EQ(array_.queue(1)->notify, 1U);
    look();
    EXPECT_FALSE(rest_->is_clean());
    EXPECT_FALSE(disks_are_clean());
    EXPECT_EQ(array_->rest, 0U);
    messages();
    EXPECT_TRUE(starts(1));
    finish(1);
    EXPECT_EQ(answers_, 1);
}

TEST_F(Rest, AWriteThatWaitsWhileItIsAskedIsNotKept) {
    look(seconds(6));
    rr_host_message(array_.get(), 0);
    write(0, 1);
    EXPECT_FALSE(starts(0));
    look();
    EXPECT_EQ(array_->rest, 0U);
    rr_host_message(array_.get(), 0);
    EXPECT_TRUE(starts(0));
    EXPECT_EQ(flushes_, 0);
}

TEST_F(Rest, AMemberThatCannotBeFlushedIsOutFirst) {
    unflushable_ = true;
    look(seconds(6));
    messages();
    look();
    EXPECT_FALSE(rest_->is_clean());
    EXPECT_EQ(array_->rest, 0U);
    unflushable_ = false;
    record();
    lie_down();
    EXPECT_EQ(disk_[0].role_of(1) == 1, false);
}

TEST_F(Rest, AMemberThatCannotBeMarkedCleanIsOut) {
    unwritable_ = {2};
    look(seconds(6));
    messages();
    look();
    EXPECT_FALSE(rest_->is_clean());
    EXPECT_EQ(array_->state & RR_STATE_MISSING, 1U << 2);
    EXPECT_EQ(array_->rest, 0U);
    EXPECT_FALSE(disk_[0].clean());
    lie_down();
}

TEST_F(Rest, WhenNoMemberCanBeMarkedDirtyTheArrayBreaks) {
    lie_down();
    unwritable_ = {0, 1, 2, 3};
    write(0, 0);
    look();
    EXPECT_NE(array_->state & RR_STATE_BROKEN, 0U);
    messages();
    finish(0);
    EXPECT_EQ(answers_, 1);
    EXPECT_EQ(rr_host_request(array_.get(), 0, 0)->error, -EIO);
}

TEST_F(Rest, DoesNotComeToWhatIsBrokenParkedOrNotRecorded) {
    array_->park = 1;
    look(seconds(6));
    EXPECT_EQ(array_->rest, 0U);
    array_->park = 0;
    rr_host_fail(array_.get(), 1, -EIO);
    look(seconds(6));
    EXPECT_EQ(array_->rest, 0U);
    record();
    rr_host_fail(array_.get(), 2, -EIO);
    look(seconds(6));
    EXPECT_EQ(array_->rest, 0U);
}

}  // namespace
}  // namespace rr
