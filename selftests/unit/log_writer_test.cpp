// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The writer of partial parity logs: what it writes is what the parser reads, one unit at a
// time for each member, of all queues, and nothing while a failure is not durable.
#include "engine/log_writer.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <set>

#include "engine/layout.h"

extern "C" {
#include "engine/host.h"
}

namespace rr::test {
namespace {

constexpr md::uuid id{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
constexpr uint32_t members = 5, chunk = 128, area = 400;

struct free_memory {
    void operator()(void* p) const { std::free(p); }
};

class LogWriter : public testing::Test {
protected:
    LogWriter() {
        array_config c;
        c.members = members;
        c.chunk_sectors = chunk;
        c.queues = 2;
        c.depth = 8;
        c.slots = 64;
        c.member_sectors = uint64_t{chunk} * 64;
        const auto layout = plan_layout(c);
        memory_.reset(std::aligned_alloc(4096, layout->bytes));
        array_ = static_cast<rr_array*>(memory_.get());
        init_arena({static_cast<std::byte*>(memory_.get()), layout->bytes}, *layout, 0);
        array_->log_roles = (1U << members) - 1;
        std::array<uint64_t, RR_MEMBERS_MAX> areas{};
        areas.fill(area);
        log_writer::needs how;
        how.write = [this](uint32_t role, uint64_t sector, std::span<const uint8_t> bytes) {
            std::memcpy(&areas_[role][sector * 512], bytes.data(), bytes.size());
            writes_.push_back({role, sector, bytes.size() / 512});
        };
        how.wake = [this](uint32_t queue) { woken_.insert(queue); };
        how.fail = [this](uint32_t role, int error) { rr_host_fail(array_, role, -error); };
        writer_ = std::make_unique<log_writer>(array_, id, areas, std::move(how));
        for (auto& bytes : areas_) {
            bytes.resize(area * 512);
            std::ranges::copy(md::empty_ppl(id), bytes.begin());
        }
    }

    // A write of one block of data chunk @index of stripe 0, whose parity is on the last.
    rr_slot* ask(uint32_t queue, uint32_t slot, uint32_t index, uint32_t from, uint32_t to) {
        rr_slot* s = rr_host_slot(array_, queue, slot);
        const uint32_t parity = rr_parity_member(&array_->geometry, 0);
        const uint32_t role = rr_data_member(&array_->geometry, parity, index);
        s->op = RR_OP_WRITE;
        s->phase = RR_PHASE_LOG;
        s->parity = static_cast<rr_u8>(parity);
        s->cell = 0;
        s->log = RR_LOG_PARTIAL;
        s->data_mask = static_cast<rr_u16>(1U << role);
        s->write_mask = static_cast<rr_u16>(1U << role | 1U << parity);
        s->from[role] = s->lo = static_cast<rr_u16>(from);
        s->to[role] = s->hi = static_cast<rr_u16>(to);
        std::memset(buffer(queue, slot, parity), static_cast<int>(slot + 1), size_t{chunk} * 512);
        push(queue, slot);
        return s;
    }
    void push(uint32_t queue, uint32_t slot) {
        rr_queue* q = rr_host_queue(array_, queue);
        q->log_ask[q->log_asked % RR_SLOTS_MAX] = static_cast<rr_u16>(slot);
        q->log_asked++;
    }
    std::byte* buffer(uint32_t queue, uint32_t slot, uint32_t role) {
        return reinterpret_cast<std::byte*>(array_) + rr_host_buffer(array_, queue, slot, role);
    }
    std::optional<md::ppl_unit> newest(uint32_t role) {
        const md::ppl_shape shape{array_->geometry, array_->array_sectors, id, role, area};
        auto unit = md::read_ppl(
            [&](uint64_t sector, std::span<uint8_t> into) {
                std::memcpy(into.data(), &areas_[role][sector * 512], into.size());
                return Status{};
            },
            shape);
        EXPECT_TRUE(unit) << unit.error().what;
        return unit ? *unit : std::nullopt;
    }
    // All that is asked for, until it is durable and its rows are written.
    void write_all() {
        do {
            writer_->look();
            writer_->written(parity_, 0);
            array_->log_open[parity_] = 0;
        } while (!writer_->may_sleep());
    }
    uint32_t answered(uint32_t queue) { return rr_host_queue(array_, queue)->log_answered; }

    struct write {
        uint32_t role;
        uint64_t sector, sectors;
    };
    static constexpr uint32_t parity_ = members - 1;
    std::unique_ptr<void, free_memory> memory_;
    rr_array* array_;
    std::array<std::vector<uint8_t>, members> areas_;
    std::vector<write> writes_;
    std::set<uint32_t> woken_;
    std::unique_ptr<log_writer> writer_;
};

TEST_F(LogWriter, SlotsOfAllQueuesAreOneUnit) {
    ask(0, 0, 0, 0, 8);
    ask(1, 3, 2, 8, 9);
    ask(0, 5, 3, 120, 128);
    writer_->look();
    ASSERT_EQ(writes_.size(), 1U);
    EXPECT_EQ(writes_[0].sectors, 8U + 17);
    const auto unit = newest(parity_);
    ASSERT_TRUE(unit);
    ASSERT_EQ(unit->entries.size(), 3U);
    EXPECT_EQ(unit->generation, 1U);
    EXPECT_EQ(unit->torn(), 0U);
    EXPECT_EQ(unit->entries[1].data_sector, uint64_t{chunk} * 3 + 120);
    EXPECT_EQ(unit->entries[2].data_sector, uint64_t{chunk} * 2 + 8);
    EXPECT_EQ(unit->entries[2].pp_bytes, 512U);
    EXPECT_EQ(unit->pp_of(unit->entries[2])[0], 4);
}

TEST_F(LogWriter, AnswersWithSharesWhenTheUnitIsDurable) {
    rr_slot* s = ask(0, 0, 0, 0, 8);
    ask(1, 1, 1, 0, 8);
    writer_->look();
    EXPECT_EQ(answered(0) + answered(1), 0U);
    EXPECT_EQ(writer_->counted().units, 0U);
    writer_->written(parity_, 0);
    EXPECT_EQ(writer_->counted().units, 1U);
    EXPECT_EQ(writer_->counted().entries, 2U);
    EXPECT_EQ(answered(0), 1U);
    EXPECT_EQ(answered(1), 1U);
    EXPECT_EQ(rr_host_queue(array_, 1)->log_answer[0], 1);
    EXPECT_NE(s->log & RR_LOG_SHARE, 0);
    EXPECT_EQ(array_->log_open[parity_], 2U);
    EXPECT_EQ(woken_, (std::set<uint32_t>{0, 1}));
}

TEST_F(LogWriter, NoUnitWhileOneIsInFlightOrHasOpenRows) {
    ask(0, 0, 0, 0, 8);
    writer_->look();
    ask(0, 1, 1, 0, 8);
    writer_->look();
    EXPECT_EQ(writes_.size(), 1U);
    writer_->written(parity_, 0);
    writer_->look();
    EXPECT_EQ(writes_.size(), 1U);
    EXPECT_TRUE(writer_->may_sleep());
    array_->log_open[parity_] = 0;
    EXPECT_FALSE(writer_->may_sleep());
    writer_->look();
    ASSERT_EQ(writes_.size(), 2U);
    EXPECT_EQ(writes_[0].sector, 8U);
    EXPECT_EQ(writes_[1].sector, 24U);
    EXPECT_EQ(newest(parity_)->generation, 2U);
}

TEST_F(LogWriter, NothingIsBegunOrAnsweredWhileAFailureIsNotDurable) {
    rr_host_fail(array_, 0, -5);
    ask(0, 0, 1, 0, 8);
    ask(0, 1, 1, 8, 16)->write_mask &= static_cast<rr_u16>(~(1U << parity_));
    writer_->look();
    EXPECT_TRUE(writer_->may_sleep());
    EXPECT_TRUE(writer_->waits());
    EXPECT_TRUE(writes_.empty());
    EXPECT_EQ(answered(0), 0U);
    array_->durable_epoch = 1;
    writer_->look();
    EXPECT_EQ(writes_.size(), 1U);
    EXPECT_EQ(answered(0), 1U);
    EXPECT_FALSE(rr_host_slot(array_, 0, 1)->log & RR_LOG_SHARE);
}

TEST_F(LogWriter, AMemberThatTakesNoLogIsOut) {
    rr_slot* s = ask(0, 0, 0, 0, 8);
    writer_->look();
    writer_->written(parity_, EIO);
    EXPECT_EQ(array_->state & RR_STATE_MISSING, 1U << parity_);
    EXPECT_EQ(answered(0), 1U);
    EXPECT_FALSE(s->log & RR_LOG_SHARE);
    EXPECT_EQ(array_->log_open[parity_], 0U);
}

TEST_F(LogWriter, UnitsEndWhereMdFindsThemAndBeginAnew) {
    uint64_t end = 8;
    uint32_t anew = 0;
    bool longer = false;
    for (uint32_t i = 0; i < 40; i++) {
        const size_t before = writes_.size();
        ask(0, i % 64, i % 4, 0, 8 * (1 + i % 16));
        write_all();
        if (writes_.size() == before + 2) {
            EXPECT_EQ(writes_[before].sector, 0U);
            EXPECT_EQ(writes_[before].sectors, 8U);
            end = 8;
            anew++;
        } else {
            ASSERT_EQ(writes_.size(), before + 1);
        }
        const write& w = writes_.back();
        EXPECT_EQ(w.sector, end);
        const auto unit = newest(parity_);
        ASSERT_TRUE(unit);
        end = w.sector + 8 + unit->pp.size() / 512;
        EXPECT_LE(end, area - 16U);
        longer = longer || w.sector + w.sectors > end;
        EXPECT_EQ(unit->generation, i + 1U + anew);
    }
    EXPECT_GT(anew, 1U);
    EXPECT_TRUE(longer) << "a unit that ends in another's partial parity";
}

// A cut leaves the sectors from some one on, which is what may leave an older unit's header.
TEST_F(LogWriter, WhatIsLeftOfAWriteLeavesNoOlderUnitThanTheLast) {
    std::vector<uint8_t> before = areas_[parity_];
    size_t seen = 0, last = 0;
    for (uint32_t i = 0; i < 60; i++) {
        ask(0, i % 64, i % 4, 0, i % 7 == 0 ? 128 : 8);
        do {
            writer_->look();
            const std::vector<uint8_t> after = areas_[parity_];
            const write& w = writes_.back();
            ASSERT_EQ(writes_.size(), ++seen);
            for (uint64_t sector = w.sector; sector < w.sector + w.sectors; sector++) {
                const auto kept = static_cast<ptrdiff_t>(sector * 512);
                std::copy(before.begin(), before.begin() + kept, areas_[parity_].begin());
                if (const auto unit = newest(parity_); unit) {
                    ASSERT_GE(unit->generation, last) << "sector " << sector << " of unit " << seen;
                }
            }
            areas_[parity_] = before = after;
            last = newest(parity_)->generation;
            writer_->written(parity_, 0);
            array_->log_open[parity_] = 0;
        } while (!writer_->may_sleep());
    }
}

TEST_F(LogWriter, AJobsParityIsAWholeRowWithoutPartialParity) {
    rr_slot* s = ask(0, 0, 0, 0, 128);
    s->op = RR_OP_JOB;
    writer_->look();
    const auto unit = newest(parity_);
    ASSERT_TRUE(unit);
    ASSERT_EQ(unit->entries.size(), 1U);
    EXPECT_EQ(unit->entries[0].pp_bytes, 0U);
    EXPECT_EQ(unit->entries[0].data_bytes, (members - 1) * 128 * 512U);
    EXPECT_EQ(unit->entries[0].data_sector, 0U);
}

TEST_F(LogWriter, WhatWasNotGatheredBetweenBlocksIsInNoEntry) {
    rr_slot* s = ask(0, 0, 1, 0, 32);
    const uint32_t role = rr_data_member(&array_->geometry, parity_, 1);
    s->gaps = static_cast<rr_u16>(1U << role);
    s->units[role] = 0b1001;
    writer_->look();
    const auto unit = newest(parity_);
    ASSERT_TRUE(unit);
    ASSERT_EQ(unit->entries.size(), 2U);
    EXPECT_EQ(unit->entries[0].data_sector, uint64_t{chunk});
    EXPECT_EQ(unit->entries[0].data_bytes, 4096U);
    EXPECT_EQ(unit->entries[1].data_sector, uint64_t{chunk} + 24);
    EXPECT_EQ(unit->entries[1].pp_bytes, 4096U);
}

TEST_F(LogWriter, UnitsOfWholeStripesAreABlockEach) {
    for (uint32_t i = 0; i < 200; i++) {
        rr_slot* s = ask(0, i % 64, 0, 0, 128);
        for (uint32_t d = 0; d + 1 < members; d++) {
            const uint32_t role = rr_data_member(&array_->geometry, parity_, d);
            s->data_mask |= static_cast<rr_u16>(1U << role);
            s->from[role] = 0;
            s->to[role] = 128;
        }
        write_all();
        EXPECT_EQ(writes_.back().sectors, 8U);
        EXPECT_EQ(newest(parity_)->generation, writes_.size());
    }
}

TEST_F(LogWriter, EachRunOfRowsWithTheSameChunksIsAnEntry) {
    rr_slot* s = ask(0, 0, 1, 100, 128);
    const uint32_t next = rr_data_member(&array_->geometry, parity_, 2);
    s->data_mask |= static_cast<rr_u16>(1U << next);
    s->from[next] = 0;
    s->to[next] = 110;
    s->lo = 0;
    writer_->look();
    const auto unit = newest(parity_);
    ASSERT_TRUE(unit);
    ASSERT_EQ(unit->entries.size(), 3U);
    EXPECT_EQ(unit->entries[0].data_sector, uint64_t{chunk} * 2);
    EXPECT_EQ(unit->entries[0].pp_bytes, 100 * 512U);
    EXPECT_EQ(unit->entries[1].data_sector, uint64_t{chunk} + 100);
    EXPECT_EQ(unit->entries[1].data_bytes, 20 * 512U);
    EXPECT_EQ(unit->entries[1].pp_bytes, 10 * 512U);
    EXPECT_EQ(unit->entries[2].data_bytes, 18 * 512U);
}

}  // namespace
}  // namespace rr::test
