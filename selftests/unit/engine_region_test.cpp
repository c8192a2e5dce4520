// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Regions (engine/region.h), the queue's half: when a write waits, what it asks for and
// how, in which era it counts, and what plans make of regions that a job needs.
#include <gtest/gtest.h>

#include "engine/redo.h"
#include "engine_under_test.h"

namespace {

using rr::test::shape;
using rr::test::small_array;

constexpr uint32_t chunk = 16;
constexpr rr_u32 written = RR_REGION_SET | RR_REGION_TOUCHED;

// 64 stripes, of which two are a region; a chunk is one cell.
class EngineRegion : public testing::Test {
protected:
    EngineRegion() : array_(two_queues(chunk * 2)) { array_->regions_on = 1; }

    static rr::array_config two_queues(uint64_t region_sectors) {
        rr::array_config c = shape(4, chunk);
        c.queues = 2;
        c.region_sectors = region_sectors;
        return c;
    }
    rr_array* a() { return array_.get(); }
    rr_queue* q(uint32_t n = 0) { return array_.queue(n); }
    rr_u32& word(uint32_t region) { return *rr_region_at(a(), region); }
    void request(uint32_t tag, uint8_t op, uint64_t stripe, uint32_t queue = 0) {
        rr_request* r = rr_request_at(a(), q(queue), tag);
        *r = {};
        r->op = op;
        r->sector = stripe * chunk * 3;
        r->sectors = 8;
        rr_request_start(a(), q(queue), tag);
        rr_settle(a(), q(queue));
    }
    void message(uint32_t queue = 0) {
        rr_message(a(), q(queue));
        rr_settle(a(), q(queue));
    }
    void grant(uint32_t region) { word(region) = written; }
    // Tags whose member I/O or answer is in the ring, in order; each once.
    std::vector<uint32_t> started(uint32_t queue = 0) {
        std::vector<uint32_t> tags;
        rr_queue* of = q(queue);
        while (of->action_head != of->action_tail) {
            const rr_action* n = rr_action_at(a(), of, of->action_head++);
            if (n->act == RR_ACT_FLUSH)
                continue;
            last_ = *n;
            if (tags.empty() || tags.back() != n->tag)
                tags.push_back(n->tag);
        }
        return tags;
    }
    bool in_flight(uint32_t tag, uint32_t queue = 0) {
        return rr_request_at(a(), q(queue), tag)->pending != 0;
    }

    small_array array_;
    rr_action last_{};
};

TEST_F(EngineRegion, AStripeIsInOneRegionForRequestsAndCells) {
    for (const uint64_t sectors : {uint64_t{1}, uint64_t{chunk}, uint64_t{chunk} * 2,
                                   uint64_t{chunk} * 64, uint64_t{1} << 20}) {
        small_array array(two_queues(sectors));
        const uint64_t cells = array->member_sectors * 512 >> array->cell_shift;
        const uint64_t stripes = array->member_sectors / chunk;
        rr_request r{};
        for (uint64_t stripe = 0; stripe < stripes; stripe++) {
            r.sector = stripe * chunk * 3;
            const uint32_t region = rr_region_of(array.get(), &r);
            r.sector += chunk * 3 - 1;
            EXPECT_EQ(rr_region_of(array.get(), &r), region);
            EXPECT_EQ(rr_region_of_cell(array.get(), stripe * cells / stripes), region);
            EXPECT_LT(region, array->regions);
        }
        EXPECT_EQ(rr_region_of_cell(array.get(), cells - 1), array->regions - 1) << sectors;
    }
}

// However large the members and small the bits.
TEST_F(EngineRegion, ThereAreSoManyRegionsAtMost) {
    rr::array_config c = two_queues(8);
    c.member_sectors = uint64_t{chunk} * RR_REGIONS_MAX;
    EXPECT_EQ(rr::plan_layout(c)->header.regions, uint32_t{RR_REGIONS_MAX});
    EXPECT_EQ(rr::plan_layout(c)->header.region_shift, 0U);
    c.member_sectors += chunk;
    EXPECT_EQ(rr::plan_layout(c)->header.region_shift, 1U);
    EXPECT_EQ(rr::plan_layout(c)->header.regions, uint32_t{RR_REGIONS_MAX} / 2 + 1);
}

TEST_F(EngineRegion, WithoutABitmapNothingIsAsked) {
    array_->regions_on = 0;
    request(0, RR_OP_WRITE, 6);
    EXPECT_TRUE(in_flight(0));
    EXPECT_EQ(word(3), 0U);
    EXPECT_EQ(array_->regions_asked, 0U);
    EXPECT_EQ(q()->notify, 0U);
    EXPECT_EQ(q()->count.region_waits, 0U);
}

TEST_F(EngineRegion, AWriteWaitsUntilItsRegionIsSet) {
    request(0, RR_OP_WRITE, 6);
    EXPECT_FALSE(in_flight(0));
    EXPECT_TRUE(started().empty());
    EXPECT_EQ(word(3), rr_u32{RR_REGION_ASKED});
    EXPECT_EQ(q()->notify, 1U);
    EXPECT_EQ(q()->tick_wanted, 1U);
    EXPECT_EQ(q()->count.region_waits, 1U);
    EXPECT_EQ(q()->count.writes, 0U);
    message();
    EXPECT_FALSE(in_flight(0)) << "a message is no grant";
    grant(3);
    rr_settle(a(), q());
    EXPECT_FALSE(in_flight(0)) << "nobody said so";
    message();
    EXPECT_TRUE(in_flight(0));
    EXPECT_EQ(q()->count.writes, 1U) << "once";
    request(1, RR_OP_WRITE, 7);
    EXPECT_TRUE(in_flight(1)) << "the same region";
}

TEST_F(EngineRegion, WhereAMessageIsLostTheTickLooks) {
    request(0, RR_OP_WRITE, 6);
    q()->tick_wanted = 0;
    rr_tick(a(), q());
    rr_settle(a(), q());
    EXPECT_FALSE(in_flight(0));
    EXPECT_EQ(q()->tick_wanted, 1U) << "and the next one";
    grant(3);
    rr_tick(a(), q());
    rr_settle(a(), q());
    EXPECT_TRUE(in_flight(0));
}

TEST_F(EngineRegion, ReadsAndFlushesDoNotWait) {
    request(0, RR_OP_READ, 6);
    EXPECT_EQ(started(), std::vector<uint32_t>{0});
    request(1, RR_OP_FLUSH, 0);
    EXPECT_EQ(word(3), 0U);
    EXPECT_EQ(q()->region_wait.head, RR_NIL);
}

TEST_F(EngineRegion, WhatIsSetIsTouchedByTheWriteItself) {
    word(3) = RR_REGION_SET;
    request(0, RR_OP_WRITE, 6);
    EXPECT_TRUE(in_flight(0));
    EXPECT_EQ(word(3), written);
    EXPECT_EQ(q()->notify, 0U);
    word(4) = RR_REGION_SET | RR_REGION_NEEDED;
    request(1, RR_OP_WRITE, 8);
    EXPECT_TRUE(in_flight(1));
    EXPECT_EQ(word(4), written | RR_REGION_NEEDED);
}

TEST_F(EngineRegion, TheOneThatIsGrantedGoesAndOthersStayInOrder) {
    request(0, RR_OP_WRITE, 0);
    request(1, RR_OP_WRITE, 2);
    request(2, RR_OP_WRITE, 4);
    request(3, RR_OP_WRITE, 3);
    grant(1);
    message();
    EXPECT_FALSE(in_flight(0));
    EXPECT_TRUE(in_flight(1));
    EXPECT_FALSE(in_flight(2));
    EXPECT_TRUE(in_flight(3));
    EXPECT_EQ(q()->region_wait.head, 0U);
    EXPECT_EQ(q()->region_wait.tail, 2U);
    grant(0);
    grant(2);
    message();
    EXPECT_EQ(q()->region_wait.head, RR_NIL);
    EXPECT_TRUE(in_flight(0));
    EXPECT_TRUE(in_flight(2));
}

TEST_F(EngineRegion, WhatIsAskedForIsFoundByItsBlock) {
    ASSERT_EQ(array_->regions, 32U);
    request(0, RR_OP_WRITE, 0);
    EXPECT_EQ(array_->regions_asked, 1ULL);
    request(1, RR_OP_WRITE, 63);
    EXPECT_EQ(array_->regions_asked, 1ULL | 1ULL << 62) << "of 32 regions each second block";
    array_->regions_asked = 0;
    request(2, RR_OP_WRITE, 62);
    EXPECT_EQ(array_->regions_asked, 1ULL << 62) << "asked for already, and told again";
    EXPECT_EQ(q()->notify, 1U);
}

TEST_F(EngineRegion, TwoQueuesWaitForOneGrant) {
    request(0, RR_OP_WRITE, 6, 0);
    request(0, RR_OP_WRITE, 7, 1);
    EXPECT_EQ(q(1)->notify, 1U);
    grant(3);
    message(1);
    EXPECT_TRUE(in_flight(0, 1));
    EXPECT_FALSE(in_flight(0, 0));
    message(0);
    EXPECT_TRUE(in_flight(0, 0));
}

TEST_F(EngineRegion, AtRestBothAreAskedForAtOnce) {
    array_->rest = 7;
    request(0, RR_OP_WRITE, 6);
    EXPECT_EQ(word(3), rr_u32{RR_REGION_ASKED});
    EXPECT_EQ(q()->rest_wait.head, 0U);
    grant(3);
    message();
    EXPECT_FALSE(in_flight(0)) << "the superblocks say clean";
    array_->rest = 0;
    message();
    EXPECT_TRUE(in_flight(0));
}

TEST_F(EngineRegion, AwakeBeforeItsBitsAreThereItWaitsOn) {
    array_->rest = 7;
    request(0, RR_OP_WRITE, 6);
    array_->rest = 0;
    message();
    EXPECT_FALSE(in_flight(0));
    EXPECT_EQ(q()->rest_wait.head, RR_NIL);
    grant(3);
    message();
    EXPECT_TRUE(in_flight(0));
}

TEST_F(EngineRegion, WhenTheArrayBreaksItIsAnsweredWithAnError) {
    request(0, RR_OP_WRITE, 6);
    array_->state |= RR_STATE_BROKEN;
    message();
    EXPECT_EQ(q()->region_wait.head, RR_NIL);
    EXPECT_EQ(rr_request_at(a(), q(), 0)->error, -RR_EIO);
    ASSERT_EQ(started(), std::vector<uint32_t>{0});
    EXPECT_EQ(last_.act, RR_ACT_COMMIT);
    request(1, RR_OP_WRITE, 8);
    EXPECT_EQ(word(4), 0U) << "none is asked for";
}

// --- Eras.

TEST_F(EngineRegion, AWriteCountsInTheEraInWhichItCame) {
    grant(0);
    request(0, RR_OP_WRITE, 0);
    EXPECT_EQ(q()->writes_open[0], 1U);
    word(0) = 0;
    array_->region_era = 1;
    request(1, RR_OP_WRITE, 2);
    EXPECT_EQ(q()->writes_open[0], 2U) << "the queue has not looked";
    EXPECT_EQ(q()->era, 0U);
    message();
    EXPECT_EQ(q()->era, 1U);
    request(2, RR_OP_WRITE, 4);
    EXPECT_EQ(q()->writes_open[0], 2U);
    EXPECT_EQ(q()->writes_open[1], 1U);
    array_->state |= RR_STATE_BROKEN;
    message();
    EXPECT_EQ(q()->writes_open[0], 1U) << "0 is under way, 1 and 2 are answered";
    EXPECT_EQ(q()->writes_open[1], 0U);
}

TEST_F(EngineRegion, ReadsAndFlushesAreNoWrites) {
    request(0, RR_OP_READ, 0);
    request(1, RR_OP_FLUSH, 0);
    EXPECT_EQ(q()->writes_open[0] | q()->writes_open[1], 0U);
}

TEST_F(EngineRegion, WhoeverSawTheEraSeesTheWordsOfIt) {
    grant(3);
    word(3) = 0;
    array_->region_era++;
    message();
    request(0, RR_OP_WRITE, 6);
    EXPECT_FALSE(in_flight(0));
    EXPECT_EQ(q()->writes_open[1], 1U);
}

// The era has but one bit in a write: a queue that began at 0 would count its writes with
// those of a later one.
TEST_F(EngineRegion, AfterARestartQueuesAreInTheEraOfTheArray) {
    array_->region_era = 5;
    grant(3);
    rr::restart_arena({reinterpret_cast<std::byte*>(a()), array_->bytes});
    EXPECT_EQ(word(3), written) << "words stay";
    EXPECT_EQ(array_->region_era, 5U);
    for (uint32_t queue = 0; queue < 2; queue++)
        EXPECT_EQ(q(queue)->era, 5U);
    request(0, RR_OP_WRITE, 6);
    EXPECT_EQ(q()->writes_open[1], 1U);
}

// --- Jobs by region.

TEST_F(EngineRegion, ARebuildByRegionHasTheMemberWhereNothingIsNeeded) {
    const uint64_t state = 1ULL << 2 | RR_STATE_REBUILD;
    array_->state = state;
    array_->job.by_region = 1;
    word(1) = RR_REGION_NEEDED;
    array_->job.frontier = 1;
    for (uint64_t cell = 0; cell < 8; cell++) {
        const bool needed = cell == 2 || cell == 3;
        EXPECT_EQ(rr_missing_at(a(), state, cell), needed ? 2U : RR_NO_ROLE) << cell;
        EXPECT_EQ(rr_role_out(a(), 2, cell) != 0, needed) << cell;
        EXPECT_EQ(rr_role_out(a(), 1, cell), 0) << cell;
    }
    array_->job.frontier = 3;
    EXPECT_EQ(rr_missing_at(a(), state, 2), uint32_t{RR_NO_ROLE});
    EXPECT_EQ(rr_missing_at(a(), state, 3), 2U);
    array_->job.by_region = 0;
    EXPECT_EQ(rr_missing_at(a(), state, 2), uint32_t{RR_NO_ROLE});
    EXPECT_EQ(rr_missing_at(a(), state, 60), 2U);
}

TEST_F(EngineRegion, AMissingMemberThatNobodyRebuildsIsMissingEverywhere) {
    array_->state = 1ULL << 2;
    array_->job.by_region = 1;
    for (uint64_t cell = 0; cell < 8; cell++) {
        EXPECT_EQ(rr_missing_at(a(), array_->state, cell), 2U) << cell;
        EXPECT_NE(rr_role_out(a(), 2, cell), 0) << cell;
    }
}

TEST_F(EngineRegion, AResyncByRegionTrustsParityWhereNothingIsNeeded) {
    const uint64_t state = RR_STATE_RESYNC;
    array_->job.by_region = 1;
    word(1) = written | RR_REGION_NEEDED;
    word(2) = written;
    for (uint64_t cell = 0; cell < 8; cell++)
        EXPECT_EQ(rr_unsynced_at(a(), state, cell) != 0, cell == 2 || cell == 3) << cell;
    array_->job.frontier = 4;
    EXPECT_EQ(rr_unsynced_at(a(), state, 3), 0);
    array_->job.by_region = 0;
    EXPECT_NE(rr_unsynced_at(a(), state, 6), 0);
    EXPECT_EQ(rr_unsynced_at(a(), 0, 6), 0);
}

// --- What a dead daemon left.

TEST_F(EngineRegion, RegionsThatMakeNoSenseAreRefused) {
    std::span<std::byte> memory(reinterpret_cast<std::byte*>(a()), array_->bytes);
    EXPECT_TRUE(rr::check_arena(memory));
    const rr_array good = *a();
    auto refused = [&](auto change) {
        *a() = good;
        change();
        const bool ok = rr::check_arena(memory).has_value();
        *a() = good;
        return !ok;
    };
    EXPECT_TRUE(refused([&] { a()->regions = 0; }));
    EXPECT_TRUE(refused([&] { a()->regions = 31; }));
    EXPECT_TRUE(refused([&] { a()->regions = RR_REGIONS_MAX + 1; }));
    EXPECT_TRUE(refused([&] { a()->regions_offset += 64; }));
    EXPECT_TRUE(refused([&] { a()->region_shift = 64; }));
    // Of one region: sectors of it have to be a number.
    for (const uint32_t shift : {63U, 60U, 55U}) {
        EXPECT_TRUE(refused([&] {
            a()->regions = 1;
            a()->region_shift = shift;
        })) << shift;
    }
}

}  // namespace
