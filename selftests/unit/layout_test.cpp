// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What an arena takes, and what is said when it is too much.
#include <gtest/gtest.h>

#include <cerrno>

#include "engine/layout.h"

namespace {

using rr::array_config;
using rr::plan_layout;

array_config large() {
    array_config c;
    c.members = 16;
    c.queues = 16;
    c.chunk_sectors = 512;
    c.member_sectors = uint64_t{c.chunk_sectors} * 64;
    c.member_io_sectors = 1024;
    c.buffer_bytes_max = uint64_t{1} << 30;
    return c;
}

TEST(Layout, TheLargestShapeFitsTheDefault) {
    const auto layout = plan_layout(large());
    ASSERT_TRUE(layout) << layout.error().what;
    EXPECT_EQ(rr::queue_buffer_bytes(layout->header), uint64_t{64} << 20);
}

// Each way that the hint names works, and a little less does not.
TEST(Layout, WhatIsTooLargeIsToldWhatFits) {
    array_config c = large();
    c.slots = 100;
    const auto refused = plan_layout(c);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().err, E2BIG);
    EXPECT_EQ(refused.error().hint, "give --arena 1600M or --slots 64 or --queues 10");
    c.buffer_bytes_max = uint64_t{1600} << 20;
    EXPECT_TRUE(plan_layout(c));
    c.buffer_bytes_max--;
    EXPECT_FALSE(plan_layout(c));
    c = large();
    for (uint32_t slots : {64, 65}) {
        c.slots = slots;
        EXPECT_EQ(plan_layout(c).has_value(), slots == 64);
    }
    c.slots = 100;
    for (uint32_t queues : {10, 11}) {
        c.queues = queues;
        EXPECT_EQ(plan_layout(c).has_value(), queues == 10);
    }
}

TEST(Layout, NoArenaIsLargerThanTheKernelMakesIt) {
    array_config c = large();
    c.slots = 256;
    c.buffer_bytes_max = uint64_t{4} << 30;
    const auto refused = plan_layout(c);  // 4 GiB of buffers, and the rest
    ASSERT_FALSE(refused);
    array_config most = c;
    while (!plan_layout(most))
        most.slots--;
    EXPECT_GT(most.slots, 250U);
    EXPECT_EQ(refused.error().hint, fmt::format("give --slots {} or --queues 15", most.slots));
}

}  // namespace
