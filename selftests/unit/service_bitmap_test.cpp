// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The control plane's half of regions, beside real queues: in which order bits and words
// come and go, and when they may not.
#include "service/bitmap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "engine_under_test.h"
#include "md_helpers.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint32_t members = 4;
constexpr uint32_t chunk = 128;
constexpr uint64_t member_sectors = uint64_t{chunk} * 64;
constexpr rr_u32 written = RR_REGION_SET | RR_REGION_TOUCHED;

class ServiceBitmap : public testing::Test {
protected:
    // Regions of 256 sectors of a member: 32 of them.
    explicit ServiceBitmap(uint32_t bit_sectors = 256, uint64_t region_sectors = 256,
                           uint64_t sectors = member_sectors)
        : array_(two_queues(region_sectors, sectors)) {
        md::new_array spec = test::four_members();
        spec.policy = md::consistency::bitmap;
        metadata_.emplace(
            test::state_of(spec), [](uint32_t, const md::md_superblock&) -> Status { return {}; },
            md::events_witness{
                [this](uint64_t events, uint64_t) { bitmap_->before_events(events); }, {}});
        md::bitmap image({}, sectors, bit_sectors, false);
        image.set_events(1);
        image.set_events_cleared(1);
        array_bitmap::needs how;
        how.write = [this](const md::bitmap& now, std::span<const uint32_t> pages) {
            write_pages(now, pages);
        };
        how.flush = [this] { flush(); };
        how.wake = [this] { events_.push_back("wake"); };
        bitmap_.emplace(array_.get(), std::move(image), std::move(how));
        bitmap_->begin(false, 0);
        EXPECT_TRUE(metadata_->mark_dirty());
        events_.clear();
        now_ = array_bitmap::clock::now();
    }
    static array_config two_queues(uint64_t region_sectors, uint64_t sectors) {
        array_config c = test::shape(members, chunk);
        c.queues = 2;
        c.region_sectors = region_sectors;
        c.member_sectors = sectors;
        return c;
    }

    // What the members have after it; and what happened, in order.
    void write_pages(const md::bitmap& now, std::span<const uint32_t> pages) {
        EXPECT_FALSE(pages.empty());
        std::vector<uint64_t> set;
        for (uint64_t bit = 0; bit < now.bits(); bit++) {
            if (now.test(bit))
                set.push_back(bit);
        }
        for (uint64_t region = 0; !adopting_ && region < array_->regions; region++) {
            // Who finds it set goes at once, and this is not on the members yet.
            if ((word(region) & RR_REGION_SET) != 0) {
                EXPECT_TRUE(is_on_disk(region)) << "a word is ahead of its bits: " << region;
            }
        }
        events_.push_back(
            fmt::format("write {} cleared {}", fmt::join(set, ","), now.events_cleared()));
        on_disk_ = std::move(set);
        if (unwritable_ >= 0)
            rr_host_fail(array_.get(), static_cast<uint32_t>(unwritable_), -EIO);
    }
    bool is_on_disk(uint64_t region) {
        const uint64_t size = uint64_t{chunk} << array_->region_shift;
        const uint64_t bit = bitmap_->image().chunk_sectors();
        return std::ranges::any_of(on_disk_, [&](uint64_t n) {
            return n * bit < (region + 1) * size && (n + 1) * bit > region * size;
        });
    }
    void flush() {
        events_.push_back("flush");
        if (unflushable_ >= 0)
            rr_host_fail(array_.get(), static_cast<uint32_t>(unflushable_), -EIO);
    }
    rr_u32& word(uint64_t region) {
        return *rr_region_at(array_.get(), static_cast<rr_u32>(region));
    }
    std::vector<std::string> happened() { return std::exchange(events_, {}); }
    void record() {
        for (uint32_t role = 0; role < members; role++) {
            if (rr_state_is_out(array_->state, role) != 0)
                (void)metadata_->mark_failed(role);
        }
        array_->durable_epoch = static_cast<uint32_t>(array_->state >> RR_STATE_EPOCH_SHIFT);
        events_.clear();
    }
    void look(milliseconds later = milliseconds(0)) {
        now_ += later;
        bitmap_->look(*metadata_, now_);
    }
    void messages() {
        for (uint32_t q = 0; q < 2; q++)
            rr_host_message(array_.get(), q);
    }
    // To the first stripe of a region.
    void write(uint64_t region, uint32_t queue = 0, uint32_t tag = 0) {
        rr_request* r = rr_host_request(array_.get(), queue, tag);
        r->sector = (region << array_->region_shift) * chunk * (members - 1);
        r->sectors = 8;
        r->op = RR_OP_WRITE;
        r->flags = 0;
        rr_host_start(array_.get(), queue, tag);
    }
    void finish(uint32_t queue = 0) {
        while (const rr_action* a = rr_host_action(array_.get(), queue)) {
            const rr_action done = *a;
            if (done.act == RR_ACT_COMMIT)
                answers_++;
            else
                rr_host_complete(array_.get(), queue, done.token,
                                 done.act == RR_ACT_FLUSH ? 0 : static_cast<int>(done.length));
        }
    }
    bool starts(uint32_t queue = 0) {
        return rr_host_queue(array_.get(), queue)->action_head !=
               rr_host_queue(array_.get(), queue)->action_tail;
    }
    // The region was written, and all is quiet.
    void write_once(uint64_t region) {
        write(region);
        look();
        messages();
        finish();
        happened();
    }
    // Two looks at which nothing was written: words of what is idle are 0.
    void go_idle() {
        look(seconds(6));
        look(seconds(6));
    }

    test::small_array array_;
    std::optional<md::array_metadata> metadata_;
    std::optional<array_bitmap> bitmap_;
    array_bitmap::clock::time_point now_;
    std::vector<std::string> events_;
    std::vector<uint64_t> on_disk_;
    int unwritable_ = -1, unflushable_ = -1;
    bool adopting_ = false;  // no queue runs
    int answers_ = 0;
};

using happenings = std::vector<std::string>;

TEST_F(ServiceBitmap, AWriteWaitsForItsBits) {
    EXPECT_EQ(array_->regions, 32U);
    write(3);
    EXPECT_FALSE(starts());
    EXPECT_EQ(word(3), rr_u32{RR_REGION_ASKED});
    look();
    EXPECT_EQ(happened(), (happenings{"write 3 cleared 1", "wake"}));
    EXPECT_EQ(word(3), written);
    EXPECT_FALSE(starts());
    messages();
    EXPECT_TRUE(starts());
    finish();
    EXPECT_EQ(answers_, 1);
    write(3);
    EXPECT_TRUE(starts()) << "it is set";
    finish();
    look();
    EXPECT_TRUE(happened().empty());
}

TEST_F(ServiceBitmap, WhoeverAsksMeanwhileSharesTheRound) {
    write(3, 0, 0);
    write(31, 0, 1);
    write(5, 1, 0);
    look();
    EXPECT_EQ(happened(), (happenings{"write 3,5,31 cleared 1", "wake"}));
    messages();
    EXPECT_TRUE(starts(0));
    EXPECT_TRUE(starts(1));
}

TEST_F(ServiceBitmap, WhatIsIdleGoesAfterAFlushAndTheEvents) {
    write_once(3);
    look(seconds(6));
    EXPECT_EQ(word(3), rr_u32{RR_REGION_SET});
    EXPECT_TRUE(happened().empty());
    look(seconds(4));
    EXPECT_EQ(word(3), rr_u32{RR_REGION_SET}) << "5 s are not over";
    look(seconds(1));
    EXPECT_EQ(word(3), 0U);
    EXPECT_EQ(happened(), (happenings{"wake"}));
    EXPECT_EQ(bitmap_->wait(), milliseconds(20));
    look();
    EXPECT_TRUE(happened().empty()) << "no queue has said that it saw it";
    rr_host_message(array_.get(), 0);
    look();
    EXPECT_TRUE(happened().empty()) << "one of two";
    rr_host_message(array_.get(), 1);
    look();
    EXPECT_EQ(happened(),
              (happenings{"flush", fmt::format("write 3 cleared {}", metadata_->events()),
                          fmt::format("write  cleared {}", metadata_->events())}));
    EXPECT_EQ(bitmap_->wait(), milliseconds(1000));
}

TEST_F(ServiceBitmap, AWriteThatIsOpenKeepsItsBits) {
    write_once(3);
    write(3);
    look(seconds(6));
    go_idle();
    EXPECT_EQ(word(3), 0U) << "the word went while the write is under way";
    happened();
    messages();
    look();
    EXPECT_TRUE(happened().empty());
    finish();
    look();
    EXPECT_EQ(happened().size(), 3U);
    EXPECT_TRUE(on_disk_.empty());
}

TEST_F(ServiceBitmap, AWriteOfTheNewEraIsNotWaitedFor) {
    write_once(3);
    go_idle();
    messages();
    write(5);
    happened();
    look();
    EXPECT_EQ(happened(), (happenings{"write 3,5 cleared 1", "wake", "flush",
                                      fmt::format("write 3,5 cleared {}", metadata_->events()),
                                      fmt::format("write 5 cleared {}", metadata_->events())}));
}

TEST_F(ServiceBitmap, AskedForAgainDuringTheGraceItStays) {
    write_once(3);
    write_once(4);
    go_idle();
    write(3);
    EXPECT_FALSE(starts()) << "the word is 0 already";
    messages();
    happened();
    look();
    EXPECT_EQ(word(3), written);
    EXPECT_EQ(on_disk_, (std::vector<uint64_t>{3, 4})) << "it came in the old era";
    messages();
    EXPECT_TRUE(starts());
    finish();
    look();
    EXPECT_EQ(on_disk_, std::vector<uint64_t>{3}) << "4 went";
    EXPECT_EQ(word(3), written);
}

TEST_F(ServiceBitmap, NothingGoesWhileAMemberIsMissing) {
    write_once(3);
    rr_host_fail(array_.get(), 1, -EIO);
    record();
    go_idle();
    go_idle();
    EXPECT_EQ(word(3) & RR_REGION_SET, rr_u32{RR_REGION_SET});
    EXPECT_EQ(bitmap_->image().events_cleared(), 1U);
    EXPECT_TRUE(happened().empty());
}

TEST_F(ServiceBitmap, NothingGoesBeforeAFailureIsDurable) {
    write_once(3);
    array_->state += 1ULL << RR_STATE_EPOCH_SHIFT;
    go_idle();
    EXPECT_EQ(word(3), written);
    record();
    go_idle();
    EXPECT_EQ(word(3), 0U);
}

TEST_F(ServiceBitmap, AMemberThatFailsInTheGraceKeepsAll) {
    write_once(3);
    go_idle();
    rr_host_fail(array_.get(), 1, -EIO);
    messages();
    look();
    EXPECT_EQ(word(3), rr_u32{RR_REGION_SET});
    EXPECT_EQ(bitmap_->image().count(), 1U);
    EXPECT_EQ(bitmap_->image().events_cleared(), 1U);
}

TEST_F(ServiceBitmap, AMemberThatCannotBeFlushedKeepsAll) {
    write_once(3);
    go_idle();
    unflushable_ = 2;
    messages();
    happened();
    look();
    EXPECT_EQ(happened(), (happenings{"flush"}));
    EXPECT_EQ(word(3), rr_u32{RR_REGION_SET});
    write(3);
    EXPECT_TRUE(starts());
}

TEST_F(ServiceBitmap, WhatAJobNeedsStays) {
    write_once(3);
    write_once(4);
    word(3) |= RR_REGION_NEEDED;
    go_idle();
    messages();
    look();
    EXPECT_EQ(on_disk_, std::vector<uint64_t>{3});
    EXPECT_EQ(word(4), 0U);
}

TEST_F(ServiceBitmap, AFailureInAGrantIsDurableBeforeTheWrite) {
    unwritable_ = 2;
    write(3);
    look();
    EXPECT_EQ(array_->state & RR_STATE_MISSING, 1U << 2);
    messages();
    EXPECT_FALSE(starts()) << "2 lacks the bit, and nobody knows that it is out";
    record();
    look();
    EXPECT_EQ(word(3), written);
    messages();
    EXPECT_TRUE(starts());
    finish();
    EXPECT_EQ(answers_, 1);
}

TEST_F(ServiceBitmap, WhereTheArrayBreaksWaitersAreAnswered) {
    write(3);
    rr_host_fail(array_.get(), 1, -EIO);
    rr_host_fail(array_.get(), 2, -EIO);
    record();
    messages();
    finish();
    EXPECT_EQ(answers_, 1);
    EXPECT_EQ(rr_host_request(array_.get(), 0, 0)->error, -EIO);
    look();
    EXPECT_EQ(word(3), written) << "nobody asks any more";
}

TEST_F(ServiceBitmap, SuperblocksAreBehindTheHeader) {
    write_once(3);
    const uint64_t before = metadata_->events();
    ASSERT_TRUE(metadata_->mark_clean());
    EXPECT_EQ(bitmap_->image().events(), before + 1);
    EXPECT_EQ(happened(), (happenings{"write 3 cleared 1"}));
    EXPECT_EQ(metadata_->events(), before + 1);
}

// --- A start, a takeover, an end.

TEST_F(ServiceBitmap, AStartSetsWordsByTheBits) {
    write_once(3);
    write_once(5);
    bitmap_->begin(false, 0);
    EXPECT_EQ(word(3), rr_u32{RR_REGION_SET});
    EXPECT_EQ(word(4), 0U);
    EXPECT_FALSE(bitmap_->next_needed(0));
    bitmap_->begin(true, 0);
    EXPECT_EQ(word(3), rr_u32{RR_REGION_SET | RR_REGION_NEEDED});
    bitmap_->begin(true, 5 * 256);
    EXPECT_EQ(word(3), rr_u32{RR_REGION_SET});
    EXPECT_EQ(word(5), rr_u32{RR_REGION_SET | RR_REGION_NEEDED});
    bitmap_->begin(true, 5 * 256 + 255);
    EXPECT_NE(word(5) & RR_REGION_NEEDED, 0U) << "a part of it is left";
    bitmap_->begin(true, 6 * 256);
    EXPECT_EQ(word(5) & RR_REGION_NEEDED, 0U);
}

TEST_F(ServiceBitmap, ASuccessorFindsEveryStateOfAWord) {
    write_once(3);
    write_once(4);
    word(3) = 0;                                 // was going
    word(4) = RR_REGION_SET | RR_REGION_NEEDED;  // a job's
    word(5) = written;                           // bits it may rely on are not there
    word(6) = RR_REGION_ASKED;                   // its write comes again, or not
    array_->regions_on = 0;
    adopting_ = true;
    bitmap_->adopt();
    adopting_ = false;
    EXPECT_EQ(word(3), rr_u32{RR_REGION_SET});
    EXPECT_EQ(word(4), rr_u32{RR_REGION_SET | RR_REGION_NEEDED});
    EXPECT_EQ(word(5), written);
    EXPECT_EQ(on_disk_, (std::vector<uint64_t>{3, 4, 5}));
    EXPECT_EQ(word(7), 0U);
    EXPECT_EQ(array_->regions_on, 1U);
    look();
    EXPECT_EQ(word(6), written);
    EXPECT_EQ(on_disk_, (std::vector<uint64_t>{3, 4, 5, 6}));
}

TEST_F(ServiceBitmap, AnEndClearsWhatNobodyNeeds) {
    write_once(3);
    write_once(4);
    word(3) |= RR_REGION_NEEDED;
    bitmap_->close(*metadata_);
    EXPECT_EQ(happened(),
              (happenings{"flush", fmt::format("write 3,4 cleared {}", metadata_->events()),
                          fmt::format("write 3 cleared {}", metadata_->events())}));
}

TEST_F(ServiceBitmap, AnEndWithoutAMemberClearsNothing) {
    write_once(3);
    rr_host_fail(array_.get(), 1, -EIO);
    bitmap_->close(*metadata_);
    EXPECT_TRUE(happened().empty());
    record();
    bitmap_->close(*metadata_);
    EXPECT_TRUE(happened().empty());
    EXPECT_EQ(bitmap_->image().count(), 1U);
}

TEST_F(ServiceBitmap, AnEndWithAMemberThatCannotBeFlushedClearsNothing) {
    write_once(3);
    unflushable_ = 0;
    bitmap_->close(*metadata_);
    EXPECT_EQ(happened(), (happenings{"flush"}));
    EXPECT_EQ(bitmap_->image().count(), 1U);
}

// --- What a job by region has to do.

TEST_F(ServiceBitmap, RunsAreOfRegionsThatNeedIt) {
    const uint64_t cells = array_->member_sectors >> (array_->cell_shift - RR_SECTOR_SHIFT);
    const uint64_t per = cells / 32;
    EXPECT_FALSE(bitmap_->next_needed(0));
    EXPECT_EQ(bitmap_->needed_cells(0), 0U);
    for (const uint64_t region : {0, 3, 4, 31})
        word(region) |= RR_REGION_NEEDED;
    auto run = bitmap_->next_needed(0);
    ASSERT_TRUE(run);
    EXPECT_EQ(run->begin, 0U);
    EXPECT_EQ(run->end, per);
    run = bitmap_->next_needed(1);
    EXPECT_EQ(run->begin, 1U) << "in the middle of one";
    run = bitmap_->next_needed(per);
    EXPECT_EQ(run->begin, 3 * per);
    EXPECT_EQ(run->end, 5 * per);
    run = bitmap_->next_needed(5 * per);
    EXPECT_EQ(run->begin, 31 * per);
    EXPECT_EQ(run->end, cells);
    EXPECT_FALSE(bitmap_->next_needed(cells));
    EXPECT_EQ(bitmap_->needed_cells(0), 4 * per);
    EXPECT_EQ(bitmap_->needed_cells(1), 4 * per - 1);
    bitmap_->done_up_to(per - 1);
    EXPECT_NE(word(0) & RR_REGION_NEEDED, 0U) << "a cell of it is left";
    bitmap_->done_up_to(4 * per);
    EXPECT_EQ(word(0) | word(3), 0U);
    EXPECT_EQ(bitmap_->needed_cells(0), 2 * per);
    bitmap_->done_up_to(cells);
    EXPECT_EQ(bitmap_->needed_cells(0), 0U);
}

TEST_F(ServiceBitmap, AReturningMemberNeedsWhatIsSetOrAskedFor) {
    write_once(3);
    write(5);
    word(7) |= RR_REGION_NEEDED;
    bitmap_->need_all_set();
    EXPECT_NE(word(3) & RR_REGION_NEEDED, 0U);
    EXPECT_NE(word(5) & RR_REGION_NEEDED, 0U);
    EXPECT_EQ(word(7), 0U);
    look();
    EXPECT_EQ(word(5), written | RR_REGION_NEEDED);
    bitmap_->need_nothing();
    EXPECT_EQ(word(3) | word(5), written);
}

// A write that was slow lost the member; it came back before anybody looked.
TEST_F(ServiceBitmap, AReturningMemberNeedsWhatWasAboutToGo) {
    write_once(3);
    write(3);
    look(seconds(6));
    go_idle();
    ASSERT_EQ(word(3), 0U);
    rr_host_fail(array_.get(), 1, -EIO);
    record();
    finish();
    EXPECT_EQ(bitmap_->image().count(), 1U);
    bitmap_->need_all_set();
    EXPECT_EQ(word(3), rr_u32{RR_REGION_SET | RR_REGION_NEEDED});
    array_->state |= RR_STATE_REBUILD;
    messages();
    look();
    EXPECT_EQ(word(3), rr_u32{RR_REGION_SET | RR_REGION_NEEDED});
    EXPECT_TRUE(bitmap_->next_needed(0));
}

// A resync of all rows, which no region tells of.
TEST_F(ServiceBitmap, NothingGoesWhileAllRowsAreResynced) {
    write_once(3);
    array_->state |= RR_STATE_RESYNC;
    go_idle();
    EXPECT_EQ(word(3), written);
    array_->job.by_region = 1;
    go_idle();
    EXPECT_EQ(word(3), 0U);
}

TEST_F(ServiceBitmap, WithoutABitmapAJobDoesAllThatIsLeft) {
    const uint64_t cells = array_->member_sectors >> (array_->cell_shift - RR_SECTOR_SHIFT);
    array_->job.by_region = 1;
    array_->job.frontier = 5;
    array_->job.end = array_->job.limit = 8;
    give_up_regions(*array_.get());
    EXPECT_EQ(array_->regions_on, 0U);
    EXPECT_EQ(array_->job.by_region, 0U);
    EXPECT_EQ(array_->job.frontier, 5U);
    EXPECT_EQ(array_->job.end, cells);
    EXPECT_EQ(array_->job.limit, cells);
}

// --- Regions and bits of unlike sizes.

class ServiceBitmapFineBits : public ServiceBitmap {
protected:
    ServiceBitmapFineBits() : ServiceBitmap(8, 8) {}
};

// mdadm's chunk may be smaller than the array's: a region is a stripe.
TEST_F(ServiceBitmapFineBits, ARegionHasManyBits) {
    EXPECT_EQ(array_->regions, 64U);
    write(63);
    look();
    EXPECT_EQ(on_disk_.size(), 16U);
    EXPECT_EQ(on_disk_.front(), 63U * 16);
    messages();
    finish();
    go_idle();
    messages();
    look();
    EXPECT_TRUE(on_disk_.empty());
}

class ServiceBitmapCoarseBits : public ServiceBitmap {
protected:
    ServiceBitmapCoarseBits() : ServiceBitmap(1024, 256) {}
};

TEST_F(ServiceBitmapCoarseBits, ABitStaysWhileARegionOfItIsSet) {
    EXPECT_EQ(array_->regions, 32U);
    write_once(4);
    write_once(7);
    EXPECT_EQ(on_disk_, std::vector<uint64_t>{1});
    write(7);
    go_idle();
    messages();
    look();
    EXPECT_EQ(word(4), 0U);
    EXPECT_EQ(on_disk_, std::vector<uint64_t>{1}) << "7 is written";
    finish();
    go_idle();
    messages();
    look();
    EXPECT_TRUE(on_disk_.empty());
}

class ServiceBitmapOneRegion : public ServiceBitmap {
protected:
    ServiceBitmapOneRegion() : ServiceBitmap(1U << 22, uint64_t{1} << 22) {}
};

TEST_F(ServiceBitmapOneRegion, ItsChunkMayBeLargerThanTheMember) {
    EXPECT_EQ(array_->regions, 1U);
    const uint64_t cells = array_->member_sectors >> (array_->cell_shift - RR_SECTOR_SHIFT);
    write(0);
    look();
    EXPECT_EQ(on_disk_, std::vector<uint64_t>{0});
    EXPECT_EQ(word(0), written);
    bitmap_->need_all_set();
    auto run = bitmap_->next_needed(0);
    ASSERT_TRUE(run);
    EXPECT_EQ(run->begin, 0U);
    EXPECT_EQ(run->end, cells);
    EXPECT_EQ(bitmap_->needed_cells(0), cells);
    EXPECT_FALSE(bitmap_->next_needed(cells)) << "the last region ends with the member";
    bitmap_->done_up_to(cells);
    EXPECT_FALSE(bitmap_->next_needed(0));
}

class ServiceBitmapOddEnd : public ServiceBitmap {
protected:
    ServiceBitmapOddEnd() : ServiceBitmap(256, 256, uint64_t{chunk} * 63) {}
};

TEST_F(ServiceBitmapOddEnd, TheLastRegionMayBeAPart) {
    EXPECT_EQ(array_->regions, 32U);
    const uint64_t cells = array_->member_sectors >> (array_->cell_shift - RR_SECTOR_SHIFT);
    write_once(31);
    EXPECT_EQ(on_disk_, std::vector<uint64_t>{31});
    bitmap_->need_all_set();
    auto run = bitmap_->next_needed(0);
    ASSERT_TRUE(run);
    EXPECT_EQ(run->end, cells);
    EXPECT_EQ(bitmap_->needed_cells(0), run->end - run->begin);
    EXPECT_FALSE(bitmap_->next_needed(cells));
    bitmap_->done_up_to(cells);
    EXPECT_FALSE(bitmap_->next_needed(0));
    go_idle();
    messages();
    look();
    EXPECT_TRUE(on_disk_.empty());
}

}  // namespace
}  // namespace rr
