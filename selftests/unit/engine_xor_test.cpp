// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The XOR loops against loops over bytes, for every length of a cell and with
// every byte around the destination watched.
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "engine_under_test.h"

namespace {

constexpr uint32_t sectors_max = RR_CELL_BYTES_MAX / 512;
constexpr uint64_t cell = RR_CELL_BYTES_MAX + 512;  // with a sector that must stay

struct four_cells {
    std::vector<uint64_t> words = std::vector<uint64_t>((512 + 4 * cell) / 8);
    static constexpr uint64_t dst = 512, x = dst + cell, y = x + cell, z = y + cell;

    explicit four_cells(uint32_t seed) {
        std::mt19937_64 r(seed);
        for (uint64_t& w : words)
            w = r();
    }
    rr_array* base() { return reinterpret_cast<rr_array*>(words.data()); }

    // dst = (keep ? dst : 0) ^ sources, byte by byte.
    void reference(bool keep, std::vector<uint64_t> sources, uint32_t sectors) {
        auto* b = reinterpret_cast<unsigned char*>(words.data());
        for (uint64_t i = 0; i < uint64_t{sectors} * 512; i++) {
            unsigned char v = keep ? b[dst + i] : 0;
            for (uint64_t s : sources)
                v ^= b[s + i];
            b[dst + i] = v;
        }
    }
};

using c = four_cells;

TEST(EngineXor, OneSource) {
    for (uint32_t n = 0; n <= sectors_max; n++) {
        c got(n), want(n);
        rr_xor(got.base(), c::dst, c::x, n);
        want.reference(true, {c::x}, n);
        ASSERT_EQ(got.words, want.words) << n << " sectors";
    }
}

TEST(EngineXor, TwoSources) {
    for (uint32_t n = 0; n <= sectors_max; n++) {
        c got(n), want(n);
        rr_xor2(got.base(), c::dst, c::x, c::z, n);
        want.reference(true, {c::x, c::z}, n);
        ASSERT_EQ(got.words, want.words) << n << " sectors";
    }
}

TEST(EngineXor, SetFromTwo) {
    for (uint32_t n = 0; n <= sectors_max; n++) {
        c got(n), want(n);
        rr_xor_set2(got.base(), c::dst, c::y, c::z, n);
        want.reference(false, {c::y, c::z}, n);
        ASSERT_EQ(got.words, want.words) << n << " sectors";
    }
}

TEST(EngineXor, SetFromThree) {
    for (uint32_t n = 0; n <= sectors_max; n++) {
        c got(n), want(n);
        rr_xor_set3(got.base(), c::dst, c::x | c::y << 32, c::z, n);
        want.reference(false, {c::x, c::y, c::z}, n);
        ASSERT_EQ(got.words, want.words) << n << " sectors";
    }
}

}  // namespace
