// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// rr_xor() and rr_copy() against loops over bytes, for every length of a cell
// and with every byte around the destination watched.
#include <cstring>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "engine_under_test.h"

namespace {

constexpr uint32_t sectors_max = RR_CELL_BYTES_MAX / 512;
constexpr uint64_t bytes_max = RR_CELL_BYTES_MAX;

struct two_cells {
    // [0, 512) before, dst, 512 between, src, 512 after.
    std::vector<uint64_t> words = std::vector<uint64_t>((3 * 512 + 2 * bytes_max) / 8);
    static constexpr uint64_t dst = 512, src = 512 + bytes_max + 512;

    explicit two_cells(uint32_t seed) {
        std::mt19937_64 r(seed);
        for (uint64_t& w : words)
            w = r();
    }
    rr_array* base() { return reinterpret_cast<rr_array*>(words.data()); }
    unsigned char* bytes() { return reinterpret_cast<unsigned char*>(words.data()); }
};

TEST(EngineXor, EveryLengthIsRightAndTouchesNothingElse) {
    for (uint32_t sectors = 0; sectors <= sectors_max; sectors++) {
        two_cells got(sectors), want(sectors);
        rr_xor(got.base(), two_cells::dst, two_cells::src, sectors);
        for (uint64_t i = 0; i < uint64_t{sectors} * 512; i++)
            want.bytes()[two_cells::dst + i] ^= want.bytes()[two_cells::src + i];
        ASSERT_EQ(got.words, want.words) << sectors << " sectors";
    }
}

TEST(EngineXor, CopyOfEveryLengthIsRightAndTouchesNothingElse) {
    for (uint32_t sectors = 0; sectors <= sectors_max; sectors++) {
        two_cells got(sectors), want(sectors);
        rr_copy(got.base(), two_cells::dst, two_cells::src, sectors);
        std::memcpy(want.bytes() + two_cells::dst, want.bytes() + two_cells::src, uint64_t{sectors} * 512);
        ASSERT_EQ(got.words, want.words) << sectors << " sectors";
    }
}

TEST(EngineXor, TwiceIsNothing) {
    two_cells got(7), want(7);
    rr_xor(got.base(), two_cells::dst, two_cells::src, sectors_max);
    rr_xor(got.base(), two_cells::dst, two_cells::src, sectors_max);
    EXPECT_EQ(got.words, want.words);
}

}  // namespace
