// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// CRC-32C by instruction and by tables: the vectors of RFC 3720, and each other.
#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <string_view>
#include <vector>

namespace rr {
namespace {

std::vector<uint8_t> bytes_of(std::string_view text) {
    return {text.begin(), text.end()};
}

TEST(Crc32c, HasTheVectorsOfRfc3720) {
    std::vector<uint8_t> up(32), down(32);
    std::iota(up.begin(), up.end(), uint8_t{0});
    std::iota(down.rbegin(), down.rend(), uint8_t{0});
    for (const auto& sum : {crc32c, crc32c_by_tables}) {
        EXPECT_EQ(sum(bytes_of("123456789")), 0xe3069283U);
        EXPECT_EQ(sum({}), 0U);
        EXPECT_EQ(sum(std::vector<uint8_t>(32, 0x00)), 0x8a9136aaU);
        EXPECT_EQ(sum(std::vector<uint8_t>(32, 0xff)), 0x62a8ab43U);
        EXPECT_EQ(sum(up), 0x46dd794eU);
        EXPECT_EQ(sum(down), 0x113fdb5cU);
    }
}

TEST(Crc32c, IsTheSameEitherWayOfAnyLengthAtAnyPlace) {
    if (!crc32c_has_instruction())
        GTEST_SKIP() << "this CPU has no instruction";
    std::vector<uint8_t> bytes(600);
    uint32_t x = 1;
    std::ranges::generate(
        bytes, [&] { return static_cast<uint8_t>((x = x * 1664525 + 1013904223) >> 24); });
    for (size_t from = 0; from < 9; from++)
        for (size_t length = 0; from + length <= bytes.size(); length++) {
            const auto part = std::span<const uint8_t>(bytes).subspan(from, length);
            ASSERT_EQ(crc32c(part), crc32c_by_tables(part)) << length << " bytes at " << from;
        }
}

}  // namespace
}  // namespace rr
