// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The SMART log of an NVMe disk, in words.
#include <gtest/gtest.h>

#include <array>

#include "members/health.h"

namespace {

using rr::disk_health;

TEST(DiskHealth, ReadsTheLog) {
    std::array<uint8_t, rr::smart_log_bytes> log{};
    log[0] = 0x05;
    log[3] = 3;
    log[4] = 10;
    log[5] = 104;
    log[160] = 0x39;
    log[161] = 0x05;
    const disk_health health = rr::health_of_log(log);
    EXPECT_EQ(health.text(),
              "critical: spare is low, reliability is lost; 3 % spare (least 10 %), 104 % used, "
              "1337 media errors");
}

TEST(DiskHealth, IsShortWhereAllIsWell) {
    std::array<uint8_t, rr::smart_log_bytes> log{};
    log[3] = 100;
    log[4] = 10;
    EXPECT_EQ(rr::health_of_log(log).text(), "100 % spare (least 10 %), 0 % used, 0 media errors");
    // Bits that nobody has a name for.
    log[0] = 0xc0;
    EXPECT_EQ(rr::health_of_log(log).text(), "100 % spare (least 10 %), 0 % used, 0 media errors");
}

TEST(DiskHealth, AsksNobodyElse) {
    EXPECT_FALSE(rr::read_health("/dev/null"));
    EXPECT_FALSE(rr::read_health("/nonexistent"));
    EXPECT_FALSE(rr::read_health("/"));
}

}  // namespace
