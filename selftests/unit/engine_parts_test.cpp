// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// How a request is cut, against a reference that takes it sector by sector:
// for each sector of the request, which chunk, which cell, which place.
#include <array>
#include <vector>

#include <gtest/gtest.h>

#include "engine_under_test.h"

namespace {

using rr::test::shape;
using rr::test::small_array;

struct bounds {
    uint32_t from = UINT32_MAX, to = 0, payload = 0;
    void add(uint32_t at, uint32_t in_request) {
        if (from == UINT32_MAX)
            from = at, payload = in_request;
        to = at + 1;
    }
    bool empty() const { return to == 0; }
};

class EngineParts : public testing::TestWithParam<std::tuple<uint32_t, uint32_t, uint32_t>> {
protected:
    rr::array_config config() const {
        const auto [members, chunk, io] = GetParam();
        rr::array_config c = shape(members, chunk);
        c.member_io_sectors = io;
        return c;
    }
    // Calls f(start, sectors) for every request where that is little, for a selection else.
    template <typename F>
    void each_request(uint32_t full, F f) const {
        const uint32_t step = full <= 64 ? 1 : full / 37 | 1;
        for (uint32_t start = 0; start < full; start += start % 8 == 7 ? 1 : step)
            for (uint32_t sectors = 1; start + sectors <= full; sectors += step)
                f(start, sectors);
        f(0, full);
        f(full - 1, 1);
    }
};

TEST_P(EngineParts, PartsAndCellsCoverTheRequestOnce) {
    small_array a(config());
    const uint32_t chunk = config().chunk_sectors, data = config().members - 1;
    const uint32_t cell = 1U << (a->cell_shift - RR_SECTOR_SHIFT);
    each_request(chunk * data, [&](uint32_t start, uint32_t sectors) {
        rr_request* r = rr_request_at(a.get(), a.queue(), 0);
        r->sector = 5ULL * chunk * data + start;
        r->sectors = sectors;
        const rr_place p = rr_request_place(a.get(), r);
        ASSERT_EQ(p.stripe, 5U);
        ASSERT_EQ(p.start, start);
        for (uint32_t d = 0; d < data; d++) {
            bounds want;
            uint32_t cells = 0;
            for (uint32_t i = 0; i < sectors; i++)
                if ((start + i) / chunk == d) {
                    want.add((start + i) % chunk, i);
                    cells |= 1U << ((start + i) % chunk / cell);
                }
            const rr_part part = rr_request_part(a.get(), r, p.start, d);
            if (want.empty()) {
                ASSERT_GE(part.from, part.to);
                continue;
            }
            ASSERT_EQ(part.from, want.from);
            ASSERT_EQ(part.to, want.to);
            ASSERT_EQ(rr_part_cells(a.get(), part.from, part.to), cells);
        }
    });
}

TEST_P(EngineParts, AWritesSlotsHoldEverySectorWhereItBelongs) {
    small_array a(config());
    const uint32_t chunk = config().chunk_sectors, data = config().members - 1;
    const uint32_t cell = 1U << (a->cell_shift - RR_SECTOR_SHIFT);
    each_request(chunk * data, [&](uint32_t start, uint32_t sectors) {
        rr_request* r = rr_request_at(a.get(), a.queue(), 0);
        r->sector = 7ULL * chunk * data + start;
        r->sectors = sectors;
        const uint32_t parity = rr_parity_member(&a->geometry, 7);
        for (uint32_t c = 0; c < chunk / cell; c++) {
            std::array<bounds, RR_MEMBERS_MAX> want;
            bounds hull;
            uint32_t mask = 0;
            for (uint32_t i = 0; i < sectors; i++) {
                const uint32_t d = (start + i) / chunk, at = (start + i) % chunk;
                if (at / cell != c)
                    continue;
                const uint32_t role = rr_data_member(&a->geometry, parity, d);
                want[role].add(at % cell, i);
                mask |= 1U << role;
                hull.from = std::min(hull.from, at % cell);
                hull.to = std::max(hull.to, at % cell + 1);
            }
            if (!mask)
                continue;
            rr_slot* s = rr_slot_at(a.get(), a.queue(), 0);
            *s = {};
            s->cell = (7ULL * chunk + c * cell) / cell;
            rr_slot_init_write(a.get(), a.queue(), 0);
            ASSERT_EQ(s->data_mask, mask);
            ASSERT_EQ(s->lo, hull.from);
            ASSERT_EQ(s->hi, hull.to);
            ASSERT_EQ(s->cell * cell, 7ULL * chunk + c * cell);
            for (uint32_t role = 0; role <= data; role++) {
                if (!(mask >> role & 1))
                    continue;
                ASSERT_EQ(s->from[role], want[role].from);
                ASSERT_EQ(s->to[role], want[role].to);
                ASSERT_EQ(s->payload[role], want[role].payload);
            }
            ASSERT_EQ(s->from[parity], hull.from);
            ASSERT_EQ(s->to[parity], hull.to);
        }
    });
}

TEST_P(EngineParts, LocksCoverTheUnitsOfTheHull) {
    small_array a(config());
    const uint32_t cell = 1U << (a->cell_shift - RR_SECTOR_SHIFT);
    const uint32_t unit = 1U << (a->unit_shift - RR_SECTOR_SHIFT);
    for (uint32_t lo = 0; lo < cell; lo++)
        for (uint32_t hi = lo + 1; hi <= cell; hi++) {
            uint32_t want = 0;
            for (uint32_t i = lo; i < hi; i++)
                want |= 1U << (i / unit);
            ASSERT_EQ(rr_lock_mask(a.get(), lo, hi), want) << lo << ".." << hi;
            ASSERT_LT(want, 1U << RR_UNITS_MAX);
        }
}

INSTANTIATE_TEST_SUITE_P(Shapes, EngineParts,
                         testing::Values(std::tuple{3U, 8U, 256U}, std::tuple{4U, 8U, 8U},
                                         std::tuple{5U, 16U, 8U}, std::tuple{4U, 128U, 256U},
                                         std::tuple{6U, 256U, 256U}, std::tuple{3U, 256U, 16U},
                                         std::tuple{16U, 32U, 32U}));

TEST(EngineParts, DataIndexUndoesDataMember) {
    for (uint32_t layout = RR_LEFT_ASYMMETRIC; layout <= RR_RIGHT_SYMMETRIC; layout++)
        for (uint32_t members = RR_MEMBERS_MIN; members <= RR_MEMBERS_MAX; members++)
            for (uint32_t parity = 0; parity < members; parity++) {
                const rr_geometry g{members, 3, layout};
                uint32_t seen = 1U << parity;
                for (uint32_t index = 0; index < members - 1; index++) {
                    const uint32_t role = rr_data_member(&g, parity, index);
                    ASSERT_LT(role, members);
                    ASSERT_FALSE(seen >> role & 1);
                    seen |= 1U << role;
                    ASSERT_EQ(rr_data_index(&g, parity, role), index);
                }
            }
}

TEST(EngineParts, BitHelpers) {
    for (uint32_t mask = 1; mask <= 0xffff; mask++) {
        ASSERT_EQ(rr_lowest_bit(mask), static_cast<uint32_t>(__builtin_ctz(mask)));
        ASSERT_EQ(rr_count_bits(mask), static_cast<uint32_t>(__builtin_popcount(mask)));
    }
    EXPECT_EQ(rr_state_missing(RR_STATE_BROKEN), RR_NO_ROLE);
    for (uint32_t role = 0; role < RR_MEMBERS_MAX; role++)
        EXPECT_EQ(rr_state_missing(1ULL << role | RR_STATE_BROKEN | 3ULL << RR_STATE_EPOCH_SHIFT),
                  role);
}

}  // namespace
