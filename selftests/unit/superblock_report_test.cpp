// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What examine says of md's own superblocks is what mdadm says of them.
#include "service/superblock_report.h"

#include <gtest/gtest.h>

#include <cctype>
#include <cerrno>

#include "md_helpers.h"

namespace rr {
namespace {

using test::examined;

std::map<std::string, std::string> lines_of(const md::md_superblock& sb) {
    std::map<std::string, std::string> lines;
    for (const auto& [name, value] : superblock_lines(describe_superblock(sb)))
        lines[name] = value;
    return lines;
}

// mdadm writes "Active device 1", and calls what is faulty a spare, too.
void expect_role(const md::md_superblock& sb, const examined& says) {
    const std::string theirs = says.at("Device Role");
    std::string ours = lines_of(sb).at("role");
    ours[0] = static_cast<char>(std::toupper(ours[0]));
    const bool is_spare = ours == "Spare" || ours == "Faulty";
    EXPECT_EQ(is_spare, theirs == "spare") << ours;
    EXPECT_TRUE(is_spare || ours == theirs) << ours;
}

void expect_agreement(const md::md_superblock& sb, const examined& says) {
    const auto lines = lines_of(sb);
    for (const char* field : {"Recovery Offset", "Internal Bitmap", "PPL", "Bad Block Log"}) {
        const auto ours = lines.find(field);
        const auto theirs = says.find(field);
        ASSERT_EQ(ours == lines.end(), theirs == says.end()) << field;
        if (theirs != says.end()) {
            EXPECT_EQ(ours->second, theirs->second) << field;
        }
    }
    EXPECT_EQ(lines.contains("Resync Offset"), says.at("State") != "clean");
    const std::string state = says.at("Array State");
    EXPECT_EQ(lines.at("array_state"), state.substr(0, state.find(' ')));
    expect_role(sb, says);
}

class SuperblockReport : public testing::TestWithParam<std::string> {};

TEST_P(SuperblockReport, SaysWhatMdadmSays) {
    for (const auto& member : test::load_vector(GetParam())) {
        auto sb = md::parse(member.bytes);
        ASSERT_TRUE(sb) << describe(sb.error());
        expect_agreement(*sb, member.says);
    }
}

INSTANTIATE_TEST_SUITE_P(All, SuperblockReport, testing::ValuesIn(test::all_vectors),
                         [](const auto& vector) { return vector.param; });

// What no vector has, on a file that mdadm itself reads.
void expect_mdadm_agrees(const md::md_superblock& sb) {
    const test::scratch_dir dir;
    const std::string path = dir.file("member", 131072);
    ASSERT_TRUE(md::write_superblock(test::open_file(path).get(), sb));
    expect_agreement(sb, test::examine(path));
}

TEST(SuperblockReportOf, AReplacementThatIsHalfWay) {
    md::md_superblock sb = test::must_make(test::four_members())[1];
    sb.feature_map |= md::feature_recovery_offset | md::feature_replacement;
    sb.recovery_offset = 4096;
    sb.dev_number = 4;
    sb.dev_roles[4] = 1;
    sb.resync_offset = 8192;
    expect_mdadm_agrees(sb);
    const auto lines = lines_of(sb);
    EXPECT_EQ(lines.at("role"), "replacement device 1");
    EXPECT_EQ(lines.at("array_state"), "ARAA");
    EXPECT_EQ(lines.at("Recovery Offset"), "4096 sectors");
    EXPECT_EQ(lines.at("Resync Offset"), "8192 sectors");
}

TEST(SuperblockReportOf, AMultiplePplAndBadBlocks) {
    md::md_superblock sb = test::must_make(test::four_members())[0];
    sb.feature_map |= md::feature_bad_blocks | md::feature_multiple_ppls;
    sb.log_place = 16 | 1024 << 16;
    sb.corrected_reads = 24;
    expect_mdadm_agrees(sb);
    const nlohmann::json told = describe_superblock(sb);
    EXPECT_EQ(told["ppl"]["sectors"], 1024);
    EXPECT_EQ(told["bad_block_log"]["bad_blocks"], true);
    EXPECT_EQ(told["corrected_read_sectors"], 24);
}

TEST(SuperblockReportOf, WhatTheLogHolds) {
    md::md_superblock sb = test::must_make(test::four_members())[0];
    sb.feature_map |= md::feature_ppl;
    sb.log_place = 8 | 2048 << 16;
    const auto told = [&sb](const Result<std::optional<md::ppl_unit>>& log) {
        nlohmann::json out = describe_superblock(sb);
        describe_ppl(out, log);
        return out;
    };
    const auto line = [](const nlohmann::json& of, const std::string& name) {
        for (const auto& [key, value] : superblock_lines(of)) {
            if (key == name)
                return value;
        }
        return std::string();
    };
    md::ppl_unit unit;
    unit.place = 24;
    unit.generation = 77;
    unit.entries.push_back({.data_sector = 640, .pp_bytes = 4096, .data_bytes = 8192});
    unit.entries.push_back({.data_sector = 8, .data_bytes = 12288, .torn = true});
    const nlohmann::json with_unit = told(std::optional(unit));
    EXPECT_EQ(with_unit["ppl"]["unit"]["generation"], 77);
    EXPECT_EQ(with_unit["ppl"]["unit"]["entries"][1]["torn"], true);
    EXPECT_EQ(line(with_unit, "PPL Unit"), "generation 77, 2 entries, at sector 24 of the log");
    EXPECT_EQ(line(with_unit, "PPL Entry"),
              "8192 bytes from sector 640 of the array on, 4096 bytes of partial parity");
    EXPECT_EQ(line(told(std::optional<md::ppl_unit>()), "PPL Unit"), "none that holds");
    EXPECT_EQ(line(told(fail(EBADMSG, "bad")), "PPL Unit"), "refused: bad");
}

// mdadm shows none where it finds no bitmap.
TEST(SuperblockReportOf, ABitmapBeforeTheSuperblock) {
    md::md_superblock sb = test::must_make(test::four_members())[0];
    sb.feature_map |= md::feature_bitmap;
    sb.log_place = -8;
    EXPECT_EQ(lines_of(sb).at("Internal Bitmap"), "-8 sectors from superblock");
}

}  // namespace
}  // namespace rr
