// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a read costs the members: each block that it needs, once. Each sector of
// the client's pages is filled once, from the member and place that hold it, or
// from the rebuild of the one that is missing.
#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "engine_under_test.h"

namespace {

using rr::test::shape;
using rr::test::small_array;

constexpr uint64_t stripe = 6;

class EngineRead : public testing::TestWithParam<std::tuple<uint32_t, uint32_t, bool>> {
protected:
    EngineRead() : members_(std::get<0>(GetParam())) {
        config_ = shape(members_, chunk_, std::get<1>(GetParam()));
        config_.member_io_sectors = 16;  // two cells a chunk, two cuts
        config_.zero_copy = std::get<2>(GetParam());
    }

    // Plays a read of the stripe; how often each sector of each member is read.
    // @bad: a row of a role that cannot be read.
    std::vector<uint32_t> play(small_array& a, uint32_t start, uint32_t sectors,
                               uint32_t bad_role = RR_NO_ROLE, uint32_t bad_row = 0) {
        std::vector<uint32_t> reads(members_ * chunk_), filled(sectors);
        rr_queue* q = a.queue();
        rr_request* r = rr_request_at(a.get(), q, 0);
        *r = {};
        r->op = RR_OP_READ;
        r->sector = stripe * full() + start;
        r->sectors = sectors;
        rr_request_start(a.get(), q, 0);
        rr_settle(a.get(), q);
        while (q->action_head != q->action_tail) {
            const rr_action n = *rr_action_at(a.get(), q, q->action_head++);
            int32_t result = static_cast<int32_t>(n.length);
            const auto row = static_cast<uint32_t>(n.position / 512 - stripe * chunk_);
            const uint32_t length = n.length / 512;
            if (n.act == RR_ACT_COMMIT) {
                EXPECT_EQ(result, static_cast<int32_t>(sectors * 512));
                break;
            }
            if (n.act == RR_ACT_READ || n.act == RR_ACT_READ_DIRECT) {
                for (uint32_t i = 0; i < length; i++)
                    reads[n.role * chunk_ + row + i]++;
                if (n.role == bad_role && row <= bad_row && bad_row < row + length)
                    result = -RR_EIO;
            }
            if (result > 0 && n.act == RR_ACT_READ_DIRECT)
                fill(a, filled, start, n.role, row, static_cast<uint32_t>(n.address / 512), length);
            if (n.act == RR_ACT_COPY_OUT) {
                const uint32_t slot = rr_token_index(n.token);
                const rr_slot* s = rr_slot_at(a.get(), q, slot);
                const uint64_t cell = rr_buffer(a.get(), q, slot, n.role);
                const auto at = static_cast<uint32_t>(
                    ((s->cell << a->cell_shift) + n.address - cell) / 512 - stripe * chunk_);
                fill(a, filled, start, n.role, at, static_cast<uint32_t>(n.position / 512), length);
            }
            rr_complete(a.get(), q, n.token, result);
            rr_settle(a.get(), q);
        }
        EXPECT_EQ(q->open, 0U);
        for (uint32_t n : filled)
            EXPECT_EQ(n, 1U) << start << "+" << sectors;
        return reads;
    }

    // Rows of @role go to sectors of the request from @at on: are they the right ones?
    void fill(small_array& a, std::vector<uint32_t>& filled, uint32_t start, uint32_t role,
              uint32_t row, uint32_t at, uint32_t sectors) const {
        for (uint32_t i = 0; i < sectors; i++) {
            const rr_location place = rr_locate(&a->geometry, stripe * full() + start + at + i);
            EXPECT_EQ(place.member, role);
            EXPECT_EQ(place.member_sector, stripe * chunk_ + row + i);
            filled.at(at + i)++;
        }
    }

    template <typename F>
    void each_request(F f) const {
        const uint32_t step = full() / 23 | 1;
        for (uint32_t start = 0; start < full(); start += step)
            for (uint32_t sectors = 1; start + sectors <= full(); sectors += step + 2)
                f(start, sectors);
        for (uint32_t border = chunk_; border < full(); border += chunk_)
            f(border - 3, 8);
        f(0, full());
    }

    uint32_t full() const { return chunk_ * (members_ - 1); }

    const uint32_t members_, chunk_ = 32;
    rr::array_config config_;
};

TEST_P(EngineRead, ABlockIsReadOnce) {
    for (uint32_t missing = 0; missing <= members_; missing++) {
        each_request([&](uint32_t start, uint32_t sectors) {
            // A new one, or a stream would find what it has read before.
            small_array a(config_, missing < members_ ? 1U << missing : 0);
            std::vector<bool> needed(members_ * chunk_);
            for (uint32_t i = 0; i < sectors; i++) {
                const rr_location at = rr_locate(&a->geometry, stripe * full() + start + i);
                const auto row = static_cast<uint32_t>(at.member_sector - stripe * chunk_);
                for (uint32_t role = 0; role < members_; role++)
                    if (role == at.member || at.member == missing)
                        needed[role * chunk_ + row] = true;
            }
            const std::vector<uint32_t> reads = play(a, start, sectors);
            for (uint32_t role = 0; role < members_; role++)
                for (uint32_t row = 0; row < chunk_; row++)
                    ASSERT_EQ(reads[role * chunk_ + row],
                              role != missing && needed[role * chunk_ + row])
                        << "missing " << missing << ", " << start << "+" << sectors << ", role "
                        << role << " row " << row;
        });
    }
}

TEST_P(EngineRead, TheWholeStripeOfADegradedArrayIsAsMuchAsIsAskedFor) {
    small_array a(config_, 1);
    const std::vector<uint32_t> reads = play(a, 0, full());
    EXPECT_EQ(std::count(reads.begin(), reads.end(), 1U), full());
    EXPECT_EQ(std::count(reads.begin(), reads.end(), 0U), chunk_);
}

TEST_P(EngineRead, ABadBlockCostsItsCellAndNoMore) {
    small_array a(config_);
    const rr_location at = rr_locate(&a->geometry, stripe * full());
    const uint32_t cell = 1U << (a->cell_shift - RR_SECTOR_SHIFT);
    ASSERT_LT(cell, chunk_);
    a->read_cut = chunk_;  // one direct read of several cells
    const std::vector<uint32_t> reads = play(a, 0, full(), at.member, cell);
    for (uint32_t role = 0; role < members_; role++)
        for (uint32_t row = 0; row < chunk_; row++) {
            const bool hit = row / cell == 1;
            // Once for the request, where parity is not data; once more for the cell; the chunk
            // with the bad block again, cell by cell, if it came in one piece.
            const uint32_t asked = role != at.parity;
            const uint32_t again = role == at.member ? config_.zero_copy : hit;
            EXPECT_EQ(reads[role * chunk_ + row], asked + again) << role << " " << row;
        }
    EXPECT_EQ(a.queue()->count.repaired, 1U);
    EXPECT_EQ(a->members[at.member].corrected, cell);
}

INSTANTIATE_TEST_SUITE_P(All, EngineRead,
                         testing::Combine(testing::Values(3U, 4U, 5U, 16U),
                                          testing::Values(uint32_t{RR_LEFT_SYMMETRIC},
                                                          uint32_t{RR_RIGHT_ASYMMETRIC}),
                                          testing::Bool()));

}  // namespace
