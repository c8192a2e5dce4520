// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What an error means: asked of all members, with a clock that the test moves.
#include "service/judge.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <string>

namespace rr {
namespace {

using namespace std::chrono_literals;

constexpr uint32_t count = 4;

class Judge : public testing::Test {
protected:
    Judge() {
        std::memset(array_.get(), 0, sizeof(rr_array));
        array_->geometry.members = count;
        array_->judged = 1;
        begin(60s);
    }
    void begin(std::chrono::milliseconds patience) {
        member_judge::needs how;
        how.answers = [this](uint32_t index) {
            const bool there = (away_ >> index & 1) == 0;
            if (++asked_ == count && away_then_)
                away_ = *away_then_;
            return there;
        };
        how.is_ours = [this] { return ours_; };
        how.tell = [this](const std::string& event) { told_ += event + ' '; };
        how.wake = [] {};
        how.pause = [this] {
            pass(50ms);
            return !ends_;
        };
        how.now = [this] { return now_; };
        how.patience = patience;
        judge_.emplace(array_.get(), std::move(how));
    }
    void pass(std::chrono::milliseconds time) {
        now_ += time;
        if (now_ >= back_at_)
            away_ = 0;
    }
    void suspect(uint32_t roles) {
        array_->suspects |= roles;
        array_->suspect_error = -EIO;
    }
    void look() { judge_->look(now_); }
    [[nodiscard]] uint32_t missing() const {
        return static_cast<uint32_t>(array_->state & RR_STATE_MISSING);
    }
    [[nodiscard]] bool broken() const { return (array_->state & RR_STATE_BROKEN) != 0; }

    std::unique_ptr<rr_array> array_ = std::make_unique<rr_array>();
    std::optional<member_judge> judge_;
    uint32_t away_ = 0, asked_ = 0;
    std::optional<uint32_t> away_then_;  // once all have been asked
    bool ours_ = true, ends_ = false;
    std::string told_;
    member_judge::clock::time_point now_{1h}, back_at_ = member_judge::clock::time_point::max();
};

TEST_F(Judge, WhoAnswersIsTriedAgainAndFoundWell) {
    suspect(1U << 2);
    look();
    EXPECT_EQ(array_->suspects, 0U);
    EXPECT_EQ(array_->well, 1U);
    EXPECT_EQ(missing(), 0U);
    // After an outage nobody knows yet.
    away_ = 0xf;
    suspect(0xf);
    look();
    away_ = 0;
    pass(1s);
    look();
    EXPECT_EQ(array_->suspects, 0U);
    EXPECT_EQ(array_->well, 0U);
}

TEST_F(Judge, OneThatIsAwayWhileTheOthersAnswerHasFailed) {
    away_ = 1U << 1;
    suspect(away_);
    look();
    EXPECT_EQ(missing(), 1U << 1);
    EXPECT_EQ(array_->suspects, 0U);
    EXPECT_FALSE(judge_->waits());
    EXPECT_EQ(array_->members[1].error, ENOLINK);
}

TEST_F(Judge, AnOutageThatEndsWhileItAsksIsNobodysFailure) {
    away_ = 1U << 1;
    away_then_ = 0;
    suspect(away_);
    look();
    EXPECT_EQ(missing(), 0U);
    EXPECT_EQ(array_->suspects, 1U << 1);
    pass(1s);
    look();
    EXPECT_EQ(missing(), 0U);
    EXPECT_EQ(array_->suspects, 0U);
}

TEST_F(Judge, AnOutageThatBeginsWhileItAsksIsWaitedFor) {
    away_ = 1U << 1;
    away_then_ = 0xf;
    suspect(away_);
    look();
    EXPECT_EQ(missing(), 0U);
    pass(1s);
    look();
    EXPECT_TRUE(judge_->waits());
    EXPECT_EQ(missing(), 0U);
}

TEST_F(Judge, TwoThatAreAwayAreWaitedFor) {
    away_ = 3;
    suspect(1);
    look();
    EXPECT_TRUE(judge_->waits());
    EXPECT_EQ(judge_->away(), 3U);
    EXPECT_EQ(missing(), 0U);
    EXPECT_EQ(array_->suspects, 1U);
    pass(30s);
    look();
    EXPECT_TRUE(judge_->waits());
    away_ = 0;
    pass(1s);
    look();
    EXPECT_FALSE(judge_->waits());
    EXPECT_EQ(array_->suspects, 0U);
    EXPECT_EQ(missing(), 0U);
    EXPECT_EQ(told_, "WaitingForMembers MembersBack ");
}

TEST_F(Judge, TheLastOneHasAMomentToComeBack) {
    away_ = 0xf;
    suspect(0xf);
    look();
    away_ = 1;
    pass(1s);
    look();
    EXPECT_TRUE(judge_->waits());
    pass(6s);
    look();
    EXPECT_FALSE(judge_->waits());
    EXPECT_EQ(missing(), 1U);
    EXPECT_FALSE(broken());
}

TEST_F(Judge, PatienceEnds) {
    away_ = 3;
    suspect(3);
    look();
    pass(61s);
    look();
    EXPECT_FALSE(judge_->waits());
    EXPECT_TRUE(broken());
    EXPECT_EQ(array_->suspects, 0U);
    // And without any it is as without a judge.
    array_->state = 0;
    begin(0s);
    suspect(3);
    look();
    EXPECT_TRUE(broken());
}

TEST_F(Judge, ADegradedArrayWaitsForOne) {
    array_->state = 1U << 3;
    away_ = 1;
    suspect(1);
    look();
    EXPECT_TRUE(judge_->waits());
    // What is being rebuilt is no loss.
    away_ = 0;
    pass(1s);
    look();
    array_->state |= RR_STATE_REBUILD;
    away_ = 1U << 3;
    suspect(away_);
    pass(1s);
    look();
    EXPECT_FALSE(judge_->waits());
    EXPECT_EQ(array_->state & RR_STATE_REBUILD, 0U);
    EXPECT_FALSE(broken());
}

TEST_F(Judge, NothingIsJudgedForAnotherHost) {
    away_ = 1;
    suspect(1);
    ours_ = false;
    look();
    EXPECT_EQ(missing(), 0U);
    EXPECT_EQ(array_->suspects, 1U);
}

TEST_F(Judge, AWriteOfTheControlPlaneWaits) {
    away_ = 0xf;
    back_at_ = now_ + 10s;
    int tries = 0;
    const Status done = judge_->insist(1, [&]() -> Status {
        tries++;
        return away_ != 0 ? Status(fail(ENOLINK, "away")) : Status{};
    });
    EXPECT_TRUE(done);
    EXPECT_EQ(tries, 2);
    EXPECT_EQ(missing(), 0U);
    // Of one that answers, its own error is told.
    EXPECT_FALSE(judge_->insist(1, [] { return Status(fail(EIO, "no")); }));
    // And of one that is out.
    back_at_ = member_judge::clock::time_point::max();
    away_ = 1U << 2;
    EXPECT_FALSE(judge_->insist(2, [] { return Status(fail(EIO, "no")); }));
    EXPECT_EQ(missing(), 1U << 2);
}

}  // namespace
}  // namespace rr
