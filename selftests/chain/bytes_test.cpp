// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What steps do with bytes (chain.h), beside the C library, for every length that
// takes another way through them.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "helpers.h"

namespace {

constexpr rr_u32 lengths = 100, shifts = 9;

int sign(int n) {
    return n < 0 ? -1 : n > 0;
}

TEST(Bytes, CopiesThatManyAndNoneBeside) {
    for (rr_u32 n = 0; n < lengths; n++)
        for (rr_u32 shift = 0; shift < shifts; shift++) {
            std::vector<rr_u8> from(lengths + shifts), to(lengths + 2 * shifts, 0xee);
            for (size_t i = 0; i < from.size(); i++)
                from[i] = static_cast<rr_u8>(i + 1);
            std::vector<rr_u8> expected = to;
            std::memcpy(&expected[shift], &from[shifts - shift], n);
            chain_copy(&to[shift], &from[shifts - shift], n);
            ASSERT_EQ(to, expected) << n << " bytes, shifted by " << shift;
        }
}

TEST(Bytes, ComparesAsMemcmp) {
    for (rr_u32 n = 0; n < lengths; n++)
        for (rr_u32 differs = 0; differs <= n; differs++)
            for (const int by : {1, 0x7f, 0xff}) {
                std::vector<rr_u8> a(n + 1, 0x42), b(n + 1, 0x42);
                // Behind the first difference, or the end, is another one, the other way round.
                a[differs] = static_cast<rr_u8>(a[differs] + by);
                if (differs < n)
                    b[n] = 0xff;
                if (differs + 1 < n)
                    b[differs + 1] = by == 1 ? 0xff : 0;
                ASSERT_EQ(sign(chain_compare(a.data(), b.data(), n)),
                          sign(std::memcmp(a.data(), b.data(), n)))
                    << n << " bytes, the first that differs is " << differs;
                ASSERT_EQ(sign(chain_compare(b.data(), a.data(), n)),
                          sign(std::memcmp(b.data(), a.data(), n)));
            }
}

TEST(Bytes, TheLowestOfEightBits) {
    for (rr_u32 mask = 1; mask < 256; mask++)
        ASSERT_EQ(chain_lowest(mask), static_cast<rr_u32>(__builtin_ctz(mask)));
}

}  // namespace
