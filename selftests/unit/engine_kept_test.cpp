// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a slot keeps of its last write, and what ends that: reads are counted.
#include <gtest/gtest.h>

#include <bit>
#include <vector>

#include "meanwhile.h"

#include "engine_under_test.h"

namespace rr {
namespace {

using test::small_array;

constexpr uint32_t chunk = 32;  // a unit is 2 sectors
constexpr uint32_t members = 6;

class EngineKept : public testing::Test {
protected:
    EngineKept() : a_(config()) {}
    static array_config config() {
        array_config c = test::shape(members, chunk);
        c.queues = 2;
        return c;
    }

    // All actions until nothing is left; the member reads among them.
    uint32_t drain(uint32_t queue, uint32_t failing_role = members) {
        rr_queue* q = a_.queue(queue);
        uint32_t reads = 0;
        while (q->action_head != q->action_tail) {
            const rr_action act = *rr_action_at(a_.get(), q, q->action_head++);
            if (act.act == RR_ACT_COMMIT) {
                answered_ = static_cast<rr_s32>(act.length);
                continue;
            }
            reads += act.act == RR_ACT_READ;
            const bool fails = act.act == RR_ACT_WRITE && act.role == failing_role;
            rr_complete(a_.get(), q, act.token, fails ? -RR_EIO : RR_RESULT_WHOLE);
            rr_settle(a_.get(), q);
        }
        return reads;
    }
    void begin(uint32_t sector, uint32_t sectors, uint32_t queue = 0, uint32_t tag = 0) {
        rr_request* r = rr_request_at(a_.get(), a_.queue(queue), tag);
        *r = {};
        r->sector = sector;
        r->sectors = sectors;
        r->op = RR_OP_WRITE;
        rr_request_start(a_.get(), a_.queue(queue), tag);
        rr_settle(a_.get(), a_.queue(queue));
    }
    uint32_t write(uint32_t sector, uint32_t sectors, uint32_t queue = 0) {
        begin(sector, sectors, queue);
        const uint32_t reads = drain(queue);
        EXPECT_EQ(answered_, static_cast<rr_s32>(sectors * 512));
        return reads;
    }

    std::byte* buffer(uint32_t queue, uint32_t slot, uint32_t role) {
        return reinterpret_cast<std::byte*>(a_.get()) +
               rr_buffer(a_.get(), a_.queue(queue), slot, role);
    }
    // All buffers of the queue.
    void fill(uint32_t queue, std::byte with) {
        for (uint32_t slot = 0; slot < a_->slots; slot++)
            for (uint32_t role = 0; role < members; role++)
                std::fill_n(buffer(queue, slot, role), 1U << a_->cell_shift, with);
    }

    small_array a_;
    rr_s32 answered_ = 0;
};

TEST_F(EngineKept, TheSameBlockIsReadOnce) {
    EXPECT_EQ(write(8, 4), 2U);
    EXPECT_EQ(write(8, 4), 0U);
    EXPECT_EQ(write(9, 2), 0U);  // a part of it
    EXPECT_EQ(a_.queue()->kept_cells, 2U);
}

TEST_F(EngineKept, TheNextChunkOfTheStripeFindsTheParity) {
    EXPECT_EQ(write(8, 4), 2U);
    EXPECT_EQ(write(chunk + 8, 4), 1U);
    EXPECT_EQ(write(2 * chunk + 8, 4), 1U);
    EXPECT_EQ(write(3 * chunk + 8, 4), 1U) << "the last chunk, as the others are kept";
    EXPECT_EQ(write(4 * chunk + 8, 4), 0U);
    EXPECT_EQ(write(8, 4), 0U);
}

TEST_F(EngineKept, RowsThatWereWholeAreKeptOfAllRoles) {
    EXPECT_EQ(write(0, (members - 1) * chunk), 0U);
    for (uint32_t i = 0; i < members - 1; i++)
        EXPECT_EQ(write(i * chunk + 4 * i, 6), 0U) << i;
}

TEST_F(EngineKept, AUnitIsKeptWhole) {
    EXPECT_EQ(write(9, 1), 2U);
    EXPECT_EQ(write(9, 1), 2U) << "half of a unit";
    EXPECT_EQ(write(8, 2), 2U);
    EXPECT_EQ(write(9, 1), 0U);
    EXPECT_EQ(write(9, 2), 2U) << "reaches into the next one";
}

TEST_F(EngineKept, WhatIsBesideIsKeptToo) {
    EXPECT_EQ(write(8, 4), 2U);
    EXPECT_EQ(write(16, 4), 2U);
    EXPECT_EQ(write(8, 4), 0U) << "the slot has both";
    EXPECT_EQ(write(16, 4), 0U);
}

TEST_F(EngineKept, AnotherQueueFindsIt) {
    EXPECT_EQ(write(8, 4, 0), 2U);
    EXPECT_EQ(write(20, 2, 1), 2U) << "other units of the cell";
    EXPECT_EQ(write(8, 4, 0), 0U) << "still there";
    EXPECT_EQ(write(8, 4, 1), 0U);
    EXPECT_EQ(write(chunk + 8, 4, 0), 1U) << "the parity that the other has left";
    EXPECT_EQ(write(2 * chunk + 8, 4, 1), 1U);
    EXPECT_EQ(write(chunk + 8, 4, 1), 0U) << "what it has not written itself, and has now";
    EXPECT_EQ(a_.queue(0)->borrowed_cells, 1U);
    EXPECT_EQ(a_.queue(1)->borrowed_cells, 2U);
}

// Two blocks are one operation: what lies between them is locked, and not written.
TEST_F(EngineKept, WhatLiesBetweenIsStillTheOthers) {
    // More than is copied for others' sake.
    EXPECT_EQ(write(4, 14, 1), 2U);
    begin(20, 2, 0, 0);
    begin(0, 2, 0, 1);
    begin(30, 2, 0, 2);
    (void)drain(0);
    EXPECT_EQ(write(4, 14, 1), 0U);
    EXPECT_EQ(write(0, 2, 1), 0U);
}

TEST_F(EngineKept, NothingIsBorrowedForAWholeStripe) {
    EXPECT_EQ(write(8, 4, 0), 2U);
    EXPECT_EQ(write(0, (members - 1) * chunk, 1), 0U);
    EXPECT_EQ(a_.queue(1)->borrowed_cells, 0U);
    EXPECT_EQ(write(chunk + 8, 4, 0), 0U);
    EXPECT_EQ(a_.queue(0)->borrowed_cells, 1U);
}

// The other queue needs its slots for other cells.
TEST_F(EngineKept, WhatAnotherSlotHasNoMoreIsRead) {
    EXPECT_EQ(write(8, 4, 0), 2U);
    for (uint32_t i = 1; i <= a_->slots; i++)
        write(i * (members - 1) * chunk + 8, 4, 0);
    EXPECT_EQ(write(8, 4, 1), 2U);
    EXPECT_EQ(a_.queue(1)->borrowed_cells, 0U);
}

// It needs them in the middle of our copying: at any of our looks at what is shared.
TEST_F(EngineKept, WhatAnotherSlotGivesUpMeanwhileIsNotBelieved) {
    uint32_t believed = 0, read = 0;
    bool taken = true;
    for (uint32_t look = 0; taken; look++) {
        a_ = small_array(config());
        EXPECT_EQ(write(8, 4, 0), 2U);
        fill(0, std::byte{0xaa});
        taken = false;
        between = [&, n = look]() mutable {
            if (n-- != 0 || taken)
                return;
            taken = true;
            for (uint32_t i = 1; i <= a_->slots; i++)
                write(i * (members - 1) * chunk + 8, 4, 0);
            fill(0, std::byte{0x55});
        };
        begin(8, 4, 1);
        between = nullptr;
        const uint32_t slot = a_.queue(1)->kept_at[rr_kept_place(0)];
        ASSERT_LT(slot, a_->slots);
        if (rr_slot_at(a_.get(), a_.queue(1), slot)->read_mask != 0) {
            read++;
            continue;
        }
        believed++;
        const uint32_t data = rr_data_member(&a_->geometry, rr_parity_member(&a_->geometry, 0), 0);
        for (uint32_t at = 8 * 512; at < 12 * 512; at++)
            ASSERT_EQ(buffer(1, slot, data)[at], std::byte{0xaa}) << "look " << look;
    }
    EXPECT_GT(believed, 1U) << "taken too late to matter, too";
    EXPECT_GT(read, 5U);
}

TEST_F(EngineKept, AnotherWriteMeanwhileLeavesTheUnitsThatWereLocked) {
    EXPECT_EQ(write(8, 4), 2U);
    EXPECT_EQ(write(16, 4), 2U);
    begin(16, 4, 0, 0);  // planned, its copies not yet done
    EXPECT_EQ(write(8, 4, 1), 0U);
    EXPECT_EQ(drain(0), 0U);
    EXPECT_EQ(write(16, 4), 0U);
    EXPECT_EQ(write(8, 4), 0U) << "borrowed back";
}

TEST_F(EngineKept, AFailureEndsIt) {
    EXPECT_EQ(write(8, 4), 2U);
    const uint32_t parity = rr_parity_member(&a_->geometry, 0);
    begin(8, 4);
    drain(0, parity);
    a_->durable_epoch = rr_state_epoch(a_->state);
    rr_message(a_.get(), a_.queue());
    rr_settle(a_.get(), a_.queue());
    drain(0);
    EXPECT_EQ(a_->state & RR_STATE_MISSING, uint64_t{1} << parity);
    // As if it had been rebuilt.
    a_->state &= ~RR_STATE_MISSING;
    EXPECT_EQ(write(8, 4), 2U);
}

TEST_F(EngineKept, TheSlotUsedLongestAgoGoesFirst) {
    for (uint32_t i = 0; i < a_->slots; i++)
        EXPECT_EQ(write(i * (members - 1) * chunk + 8, 4), 2U);
    EXPECT_EQ(write(8, 4), 0U) << "used again: now the second is the oldest";
    EXPECT_EQ(write(10 * (members - 1) * chunk + 8, 4), 2U);
    EXPECT_EQ(write(8, 4), 0U);
    EXPECT_EQ(write((members - 1) * chunk + 8, 4), 2U);
    EXPECT_EQ(a_.queue()->free_slots, a_->slots);
}

}  // namespace
}  // namespace rr
