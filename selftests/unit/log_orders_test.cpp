// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The orders in which a log is taken up and given up, cut off and failing at each step.
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "service/log_orders.h"

namespace rr::test {
namespace {

// What is so on the members and in the engine; must_hold() is what a power cut may find.
struct played_array {
    bool bitmap_told = true, log_told = false;
    bool log_is_empty_or_ours = false;  // nothing that another time has left
    bool logging = false;
    bool unlogged_rows_in_flight = true, unlogged_rows_cached = true;
    int fails_at = -1;  // the step; -1: none
    int step = 0;
    std::vector<std::string> told;

    void must_hold() const {
        EXPECT_FALSE(bitmap_told && log_told) << "one place, two tenants";
        if (!log_told)
            return;
        EXPECT_TRUE(log_is_empty_or_ours) << "an old log would be replayed";
        EXPECT_TRUE(logging) << "the promise is kept by nobody";
        EXPECT_FALSE(unlogged_rows_in_flight || unlogged_rows_cached)
            << "a torn row that no log has";
    }
    Status take(const char* name, const std::function<void()>& effect) {
        told.emplace_back(name);
        const bool fails = step++ == fails_at;
        // What fails may have had its effect all the same.
        effect();
        must_hold();
        return fails ? Status(fail(EIO, "{}", name)) : Status{};
    }
    log_steps steps() {
        return {
            .untold = [this] { return take("untold", [this] { bitmap_told = log_told = false; }); },
            .empty =
                [this] {
                    return take("empty", [this] {
                        EXPECT_FALSE(bitmap_told) << "the bitmap is overwritten";
                        log_is_empty_or_ours = true;
                    });
                },
            .begin =
                [this] {
                    return take("begin", [this] {
                        EXPECT_TRUE(log_is_empty_or_ours);
                        logging = true;
                        unlogged_rows_in_flight = false;
                    });
                },
            .flush =
                [this] {
                    return take("flush", [this] {
                        unlogged_rows_cached = unlogged_rows_cached && unlogged_rows_in_flight;
                    });
                },
            .tell = [this] { return take("tell", [this] { log_told = true; }); },
            .end =
                [this] {
                    return take("end", [this] {
                        logging = false;
                        unlogged_rows_in_flight = unlogged_rows_cached = true;
                    });
                }};
    }
};

TEST(LogOrders, ALogIsToldOfLastAndForgottenFirst) {
    played_array array;
    ASSERT_TRUE(take_up_log(array.steps()));
    EXPECT_EQ(array.told, (std::vector<std::string>{"untold", "empty", "begin", "flush", "tell"}));
    EXPECT_TRUE(array.log_told);
    array.told.clear();
    ASSERT_TRUE(give_up_log(array.steps()));
    EXPECT_EQ(array.told, (std::vector<std::string>{"untold", "end"}));
    EXPECT_FALSE(array.log_told);
}

TEST(LogOrders, WhatFailsLeavesNoPromise) {
    for (int at = 0; at < 5; at++) {
        played_array array;
        array.fails_at = at;
        EXPECT_FALSE(take_up_log(array.steps()));
        // Some superblock may tell: it is kept up.
        EXPECT_EQ(array.log_told, at == 4);
        if (at == 3) {
            EXPECT_FALSE(array.logging) << "nobody is told, nobody pays";
        }
        array.must_hold();
    }
    played_array array;
    ASSERT_TRUE(take_up_log(array.steps()));
    array.fails_at = array.step;
    EXPECT_FALSE(give_up_log(array.steps()));
    EXPECT_TRUE(array.logging) << "some superblock may tell of it still";
    array.fails_at = array.step + 1;
    EXPECT_FALSE(give_up_log(array.steps())) << "units may be in flight where the bitmap goes";
    EXPECT_FALSE(array.log_told);
}

}  // namespace
}  // namespace rr::test
