// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What examine says of md's own superblocks is what mdadm says of them.
#include "service/superblock_report.h"

#include <gtest/gtest.h>

#include <cctype>

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

// mdadm shows none where it finds no bitmap.
TEST(SuperblockReportOf, ABitmapBeforeTheSuperblock) {
    md::md_superblock sb = test::must_make(test::four_members())[0];
    sb.feature_map |= md::feature_bitmap;
    sb.log_place = -8;
    EXPECT_EQ(lines_of(sb).at("Internal Bitmap"), "-8 sectors from superblock");
}

}  // namespace
}  // namespace rr
