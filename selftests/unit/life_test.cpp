// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The table of an array's life: whole, free of contradictions, and what docs/life.md
// says. vm-tests/life.sh walks it on a real array.
#include "service/life.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

namespace rr {
namespace {

constexpr auto commands = {life_event::assemble, life_event::status, life_event::fail,
                           life_event::upgrade,  life_event::stop,   life_event::stop_force};

template <typename F>
void each_rule(F f) {
    for (unsigned s = 0; s < life_states; s++)
        for (unsigned e = 0; e < life_events; e++) {
            const auto state = static_cast<life_state>(s);
            const auto event = static_cast<life_event>(e);
            SCOPED_TRACE(std::string(to_string(state)) + ", " + to_string(event));
            f(state, event, life_rule_for(state, event));
        }
}

bool has_daemon(life_state state) {
    return (life_owned(state) & life_lock) != 0;
}

TEST(Life, EveryRuleSaysWhatHappens) {
    each_rule([](life_state, life_event, const life_rule& rule) {
        ASSERT_NE(rule.what, nullptr);
        EXPECT_GT(std::string(rule.what).size(), 5U);
    });
}

TEST(Life, WhatIsRefusedOrCannotHappenChangesNothing) {
    each_rule([](life_state state, life_event, const life_rule& rule) {
        if (rule.outcome == life_outcome::refused || rule.outcome == life_outcome::none) {
            EXPECT_EQ(rule.next, state);
        }
    });
}

TEST(Life, EveryCommandHasAnAnswerInEveryState) {
    each_rule([](life_state, life_event event, const life_rule& rule) {
        if (std::find(commands.begin(), commands.end(), event) != commands.end()) {
            EXPECT_TRUE(rule.outcome == life_outcome::done ||
                        rule.outcome == life_outcome::refused ||
                        rule.outcome == life_outcome::later);
        }
    });
}

TEST(Life, ADaemonAnswersStatusAndCanBeKilledAndStopped) {
    for (unsigned s = 0; s < life_states; s++) {
        const auto state = static_cast<life_state>(s);
        SCOPED_TRACE(to_string(state));
        const bool lives = has_daemon(state);
        EXPECT_EQ(life_rule_for(state, life_event::status).outcome == life_outcome::done, lives);
        EXPECT_EQ(life_rule_for(state, life_event::killed).outcome == life_outcome::noted, lives);
        EXPECT_EQ(life_rule_for(state, life_event::stop).outcome != life_outcome::refused, lives);
        // Without a daemon something else ends it.
        const bool ends =
            life_rule_for(state, life_event::stop_force).outcome != life_outcome::refused;
        EXPECT_EQ(ends, state != life_state::absent);
    }
}

TEST(Life, NoDeathLeavesALockOrAStateOfALivingDaemon) {
    each_rule([](life_state, life_event event, const life_rule& rule) {
        if (event == life_event::killed && rule.outcome == life_outcome::noted) {
            EXPECT_FALSE(has_daemon(rule.next));
        }
    });
}

TEST(Life, EveryStateIsReachedAndLeft) {
    std::set<life_state> reached = {life_state::absent, life_state::starting};
    each_rule([&](life_state state, life_event, const life_rule& rule) {
        if (rule.next != state)
            reached.insert(rule.next);
    });
    EXPECT_EQ(reached.size(), life_states);
    for (unsigned s = 0; s < life_states; s++) {
        unsigned exits = 0;
        for (unsigned e = 0; e < life_events; e++)
            exits += life_rule_for(static_cast<life_state>(s), static_cast<life_event>(e)).next !=
                     static_cast<life_state>(s);
        EXPECT_GT(exits, 0U) << to_string(static_cast<life_state>(s));
    }
}

TEST(Life, ThePageHasTheTable) {
    std::ifstream page(RR_SOURCE_DIR "/docs/life.md");
    std::stringstream text;
    text << page.rdbuf();
    const std::string begin = "<!-- the table: begin -->\n", end = "<!-- the table: end -->";
    const size_t from = text.str().find(begin), to = text.str().find(end);
    ASSERT_NE(from, std::string::npos);
    ASSERT_NE(to, std::string::npos);
    EXPECT_EQ(text.str().substr(from + begin.size(), to - from - begin.size()), life_as_markdown())
        << "docs/life.md is not what loader/service/life.cpp says: put this between its marks";
}

}  // namespace
}  // namespace rr
