// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Rows of a dead daemon (engine/redo.h) where a member is being replaced: what is written
// again to the device behind the roles, and which records are no records.
#include "engine/redo.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "engine_under_test.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {
namespace {

constexpr uint32_t chunk = 8;
constexpr uint32_t role = 1;
constexpr uint32_t index = 4;
constexpr uint64_t cell = 5;

class members_in_memory : public redo_io {
public:
    int write(uint32_t to, uint64_t position, std::span<const std::byte> data) override {
        if (broken == to)
            return EIO;
        written[to] = {position, data.size(), data[0]};
        pieces[to].emplace_back(position, data.size());
        return 0;
    }
    int flush(uint32_t to) override {
        flushed.push_back(to);
        return broken == to ? EIO : 0;
    }

    struct piece {
        uint64_t position = 0, bytes = 0;
        std::byte first{};
        bool operator==(const piece&) const = default;
    };
    std::map<uint32_t, piece> written;
    std::map<uint32_t, std::vector<std::pair<uint64_t, uint64_t>>> pieces;
    std::vector<uint32_t> flushed;
    std::optional<uint32_t> broken;
};

// One row was being written: roles 1 and 2, and what replaces role 1.
class Redo : public testing::Test {
protected:
    Redo() : array_(config()) {
        array_->replaced = role;
        array_->state |= RR_STATE_REPLACE;
        array_->members[role].data_offset = 8;
        array_->members[index].data_offset = 64;
        slot().phase = RR_PHASE_WRITE;
        slot().cell = cell;
        slot().write_mask = 1U << role | 1U << 2 | 1U << index;
        for (const uint32_t r : {role, 2U, index}) {
            slot().from[r] = 2;
            slot().to[r] = 4;
            slot().units[r] = 0xc;
        }
        for (uint32_t r = 0; r < 4; r++)
            memory()[rr_host_buffer(array_.get(), 0, 0, r) + 1024] = std::byte(0x10 + r);
    }
    static array_config config() { return test::shape(4, chunk); }
    rr_slot& slot() { return *rr_host_slot(array_.get(), 0, 0); }
    std::span<std::byte> memory() {
        return {reinterpret_cast<std::byte*>(array_.get()), array_->bytes};
    }
    static uint64_t at(uint64_t data_offset) { return (data_offset + cell * chunk + 2) * 512; }

    test::small_array array_;
    members_in_memory members_;
};

TEST_F(Redo, TheReplacementGetsWhatItsMemberGets) {
    ASSERT_TRUE(redo_writes(memory(), members_));
    using piece = members_in_memory::piece;
    EXPECT_EQ(members_.written[role], (piece{at(8), 1024, std::byte{0x11}}));
    EXPECT_EQ(members_.written[index], (piece{at(64), 1024, std::byte{0x11}}));
    EXPECT_EQ(members_.written[2], (piece{at(0), 1024, std::byte{0x12}}));
    EXPECT_EQ(members_.flushed, (std::vector<uint32_t>{0, 1, 2, 3, index}));
}

TEST_F(Redo, OfGatheredWritesEachRunIsWrittenAndNothingBetween) {
    slot().to[2] = 8;
    slot().units[2] = 0xac;  // 2 and 3, 5, 7
    ASSERT_TRUE(redo_writes(memory(), members_));
    EXPECT_EQ(members_.pieces[2], (std::vector<std::pair<uint64_t, uint64_t>>{
                                      {at(0), 1024}, {at(0) + 1536, 512}, {at(0) + 2560, 512}}));
}

TEST_F(Redo, RowsOfZerosAreZerosWhateverTheBuffersHold) {
    slot().zero = RR_ZERO_ROWS;
    ASSERT_TRUE(redo_writes(memory(), members_));
    using piece = members_in_memory::piece;
    EXPECT_EQ(members_.written[role], (piece{at(8), 1024, std::byte{0}}));
    EXPECT_EQ(members_.written[index], (piece{at(64), 1024, std::byte{0}}));
    EXPECT_EQ(members_.written[2], (piece{at(0), 1024, std::byte{0}}));
}

TEST_F(Redo, OneThatWasGivenUpGetsNothing) {
    array_->state &= ~RR_STATE_REPLACE;
    ASSERT_TRUE(redo_writes(memory(), members_));
    EXPECT_FALSE(members_.written.contains(index));
    EXPECT_TRUE(members_.written.contains(role));
    EXPECT_EQ(members_.flushed, (std::vector<uint32_t>{0, 1, 2, 3}));
}

TEST_F(Redo, OneThatTakesNoRowIsGivenUpAndNothingElse) {
    members_.broken = index;
    ASSERT_TRUE(redo_writes(memory(), members_));
    EXPECT_EQ(array_->state & (RR_STATE_REPLACE | RR_STATE_MISSING), 0U);
    EXPECT_EQ(array_->members[index].error, EIO);
    EXPECT_TRUE(members_.written.contains(2));
}

TEST_F(Redo, AMemberThatTakesNoRowEndsIt) {
    members_.broken = 2;
    ASSERT_TRUE(redo_writes(memory(), members_));
    EXPECT_EQ(array_->state & (RR_STATE_REPLACE | RR_STATE_MISSING), 1U << 2);
    EXPECT_EQ(array_->members[index].error, 0);
}

TEST_F(Redo, ForeignBitsAndPlacesAreRefusedBeforeAnythingIsWritten) {
    slot().write_mask |= 1U << (index + 1);
    EXPECT_FALSE(redo_writes(memory(), members_));
    slot().write_mask &= ~(1U << (index + 1));
    slot().to[index] = chunk + 1;
    EXPECT_FALSE(redo_writes(memory(), members_));
    slot().to[index] = 4;
    slot().units[2] = 0x1c;
    EXPECT_FALSE(redo_writes(memory(), members_)) << "a unit behind the end";
    slot().units[2] = 0;
    EXPECT_FALSE(redo_writes(memory(), members_));
    slot().units[2] = 0xc;
    array_->replaced = index;
    EXPECT_FALSE(redo_writes(memory(), members_));
    EXPECT_TRUE(members_.written.empty());
    array_->replaced = role;
    EXPECT_TRUE(redo_writes(memory(), members_));
}

TEST(RedoOfMost, AnArrayWithoutRoomForAReplacementHasNone) {
    test::small_array array(test::shape(RR_MEMBERS_MAX, chunk));
    const std::span memory{reinterpret_cast<std::byte*>(array.get()), array->bytes};
    ASSERT_TRUE(check_arena(memory));
    array->state |= RR_STATE_REPLACE;
    EXPECT_FALSE(check_arena(memory));
    array->state = 0;
    rr_slot& slot = *rr_host_slot(array.get(), 0, 0);
    slot.phase = RR_PHASE_WRITE;
    slot.write_mask = 1U << (RR_MEMBERS_MAX - 1);
    slot.to[RR_MEMBERS_MAX - 1] = 1;
    slot.units[RR_MEMBERS_MAX - 1] = 1;
    members_in_memory members;
    EXPECT_TRUE(redo_writes(memory, members));
    EXPECT_EQ(members.flushed.size(), size_t{RR_MEMBERS_MAX});
}

}  // namespace
}  // namespace rr
