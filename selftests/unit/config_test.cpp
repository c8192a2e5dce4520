// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The configuration: which line counts for which array, and what is said of wrong ones.
#include "service/config.h"

#include <gtest/gtest.h>

namespace rr {
namespace {

const std::string uuid = "01234567:89abcdef:01234567:89abcdef";

config read(const std::string& text) {
    config out;
    out.read(text, "f");
    return out;
}

// The problems, one a line.
std::string problems(const config& of) {
    std::string out;
    for (const config_problem& p : of.problems()) {
        EXPECT_FALSE(p.hint.empty()) << p.what;
        out += p.where + ": " + p.what + '\n';
    }
    return out;
}

TEST(Config, NothingIsAllDefaults) {
    const config none = read("");
    EXPECT_TRUE(none.problems().empty());
    const settings_map set = none.array("h:data", uuid);
    EXPECT_EQ(set.size(), array_settings().size());
    EXPECT_EQ(set.at("depth").value, "64");
    EXPECT_EQ(set.at("depth").from, "");
    EXPECT_EQ(none.monitor().at("mail").value, "root");
    EXPECT_EQ(none.check().at("for").value, "6h");
}

TEST(Config, DefaultsDoForTheirOwnRules) {
    for (const auto rules : {array_settings(), monitor_settings(), check_settings()}) {
        for (const setting_rule& rule : rules) {
            const bool has_one = *rule.standard != 0;
            EXPECT_EQ(has_one ? flaw_of(rule, rule.standard) : "", "") << rule.name;
        }
    }
}

TEST(Config, TheNearestSectionCountsAndOfEqualsTheLast) {
    const config of = read(
        "# one\n[array data]\ndepth = 2\n; two\n[array 01234567-89ab-cdef-0123-456789abcdef]\n"
        "depth = 3\n[array]\ndepth=4\nqueues = 1\nqueues = 2\n[array h:data]\nslots = 9 ; why\n");
    EXPECT_EQ(problems(of), "");
    EXPECT_EQ(of.array("", "").at("depth").value, "4");
    EXPECT_EQ(of.array("h:data", "").at("depth").value, "2");
    EXPECT_EQ(of.array("data", "").at("depth").from, "f:3");
    EXPECT_EQ(of.array("h:data", uuid).at("depth").value, "3");
    EXPECT_EQ(of.array("h:data", uuid).at("queues").value, "2");
    EXPECT_EQ(of.array("h:data", uuid).at("slots").value, "9");
    EXPECT_EQ(of.array("g:data", uuid).at("slots").value, "64");
    EXPECT_EQ(of.named(), (std::vector<std::string>{"data", uuid, "h:data"}));
}

TEST(Config, WrongLinesAreSaidAndDoNotCount) {
    const config of = read(
        "depth = 1\n[array]\ndepth = 0\ndepth = 12x\nqueues = 17\narena = 5G\nengine = bpg\n"
        "colour = red\n[monitor]\nprogram = mail\n[moniter]\nmail = a\n[check]\nfor = -1\n"
        "[array]\nclean-after = nan\n");
    EXPECT_EQ(problems(of),
              "f:1: there is no section []\n"
              "f:3: depth: 0 is not from 1 to 256\n"
              "f:4: depth: 12x is no number\n"
              "f:5: queues: 17 is not from 1 to 16\n"
              "f:6: arena: 5G is not from 1M to 4G\n"
              "f:7: engine: bpg is none of: auto bpf user\n"
              "f:8: [array] has no setting colour\n"
              "f:10: program: mail is no path from the root\n"
              "f:12: there is no section [moniter]\n"
              "f:14: for: -1 is no time\n"
              "f:16: clean-after: nan is not from 0 to 86400\n");
    EXPECT_EQ(of.array("", "").at("depth").from, "");
}

TEST(Config, WhatIsNoLineIsSaid) {
    EXPECT_EQ(problems(read("[array]\nqueues\n")), "f:2: neither [SECTION] nor KEY = VALUE\n");
    EXPECT_EQ(problems(read("[array\nqueues=1\n")),
              "f:2: there is no section []\nf:1: neither [SECTION] nor KEY = VALUE\n");
    // The rest of a long line is no line of its own.
    const config of = read("[array]\n" + std::string(198, ' ') + "\ndepth = 7\nx" +
                           std::string(250, 'x') + "depth = 9\nslots = 5");
    EXPECT_EQ(problems(of),
              "f:2: the line is too long, or no text\n"
              "f:4: the line is too long, or no text\n");
    EXPECT_EQ(of.array("", "").at("depth").value, "7");
    EXPECT_EQ(of.array("", "").at("slots").from, "f:5");
    EXPECT_EQ(problems(read(std::string("[array]\nde\0pth = 1\n", 19))),
              "f:2: the line is too long, or no text\n");
    // An indented line is no more of the one before.
    EXPECT_EQ(read("[array]\ndepth = 7\n   slots = 8\n").array("", "").at("slots").value, "8");
}

TEST(Config, AMailsHeadCannotBeForged) {
    const config of = read("[monitor]\nmail = a\tb\nfrom = a\rTo: x\n");
    EXPECT_EQ(of.problems().size(), 2U);
    EXPECT_EQ(of.monitor().at("mail").value, "root");
}

TEST(Config, ALaterFileCounts) {
    config of;
    of.read("[array]\ndepth = 1\nslots = 1\n", "a");
    of.read("[array]\ndepth = 2\n", "b");
    EXPECT_EQ(of.array("", "").at("depth").from, "b:2");
    EXPECT_EQ(of.array("", "").at("slots").from, "a:3");
    of.read_file("/does/not/exist");
    EXPECT_TRUE(of.problems().empty());
    of.read_file("/proc");
    EXPECT_EQ(of.problems().size(), 1U);
}

}  // namespace
}  // namespace rr
