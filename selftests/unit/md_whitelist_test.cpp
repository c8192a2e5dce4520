// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What may be served: real arrays of md's, and every feature bit by itself.
#include "base/bytes.h"
#include "md/whitelist.h"
#include "md_helpers.h"

namespace rr::test {
namespace {

using md::md_superblock;

md_superblock vector_superblock(const std::string& name, size_t member = 0) {
    auto sb = md::parse(load_vector(name).at(member).bytes);
    EXPECT_TRUE(sb) << name;
    return sb.value();
}

TEST(MdWhitelist, RealArraysOfMdThatWeServe) {
    for (const char* name :
         {"ls4", "la5", "ra3", "dirty4", "failed4", "rebuilt4", "rs3bitmap", "ppldirty4"}) {
        const auto terms = md::check_servable(vector_superblock(name));
        EXPECT_TRUE(terms) << name << ": " << (terms ? "" : terms.error().what);
    }
    EXPECT_EQ(md::check_servable(vector_superblock("ls4"))->features_to_clear, 0U);
    EXPECT_EQ(md::check_servable(vector_superblock("rs3bitmap"))->features_to_clear, 0U)
        << "the bitmap is kept";
    EXPECT_EQ(md::check_servable(vector_superblock("ppl4"))->features_to_clear, md::feature_ppl);
}

TEST(MdWhitelist, RealArraysOfMdThatWeRefuseSayWhy) {
    const auto refusal = [](const char* name, size_t member = 0) {
        const auto terms = md::check_servable(vector_superblock(name, member));
        EXPECT_FALSE(terms) << name;
        if (terms)
            return std::string();
        EXPECT_EQ(terms.error().err, ENOTSUP) << name;
        return terms.error().what;
    };
    EXPECT_NE(refusal("reshaping4").find("reshape"), std::string::npos);
    EXPECT_NE(refusal("raid6").find("level 6"), std::string::npos);
    EXPECT_NE(refusal("raid1").find("level 1"), std::string::npos);
    EXPECT_NE(refusal("journal3").find("journal"), std::string::npos);
}

TEST(MdWhitelist, EachFeatureBitIsAllowedOrRefusedByItself) {
    for (uint32_t bit = 0; bit < 32; bit++) {
        md_superblock sb = vector_superblock("ls4");
        sb.feature_map = 1U << bit;
        // Bitmap, rebuild, bad block log, replacement, rebuild by bitmap; PPLs.
        const bool kept = bit == 0 || bit == 1 || bit == 3 || bit == 4 || bit == 7;
        const bool allowed = kept || bit == 10 || bit == 11;
        const auto terms = md::check_servable(sb);
        EXPECT_EQ(terms.has_value(), allowed) << "bit " << bit;
        if (terms) {
            EXPECT_EQ(terms->features_to_clear, kept ? 0 : 1U << bit);
        } else {
            EXPECT_FALSE(terms.error().hint.empty()) << "bit " << bit;
        }
    }
}

TEST(MdWhitelist, DirtyArraysMayHaveABitmapOrAPpl) {
    md_superblock sb = vector_superblock("rs3bitmap");
    sb.resync_offset = 0;
    EXPECT_TRUE(md::check_servable(sb));
    for (const uint32_t ppl : {md::feature_ppl, md::feature_multiple_ppls}) {
        sb.feature_map = ppl;
        EXPECT_TRUE(md::check_servable(sb));
    }
    sb.resync_offset = md::resync_none;
    sb.feature_map = md::feature_ppl | md::feature_bitmap;
    EXPECT_FALSE(md::check_servable(sb)) << "md refuses both at once, too";
}

TEST(MdWhitelist, ShapesOutsideOfTheEngineAreRefused) {
    const auto servable = [](auto change) {
        md_superblock sb = vector_superblock("ls4");
        change(sb);
        return md::check_servable(sb).has_value();
    };
    EXPECT_TRUE(servable([](auto&) {}));
    for (const int32_t level : {-4, 0, 1, 4, 6, 10})
        EXPECT_FALSE(servable([&](auto& sb) { sb.level = level; })) << level;
    for (const uint32_t layout : {4U, 5U, 16U, ~0U})
        EXPECT_FALSE(servable([&](auto& sb) { sb.layout = layout; })) << layout;
    for (const uint32_t members : {0U, 2U, 17U, ~0U})
        EXPECT_FALSE(servable([&](auto& sb) { sb.raid_disks = members; })) << members;
    for (const uint32_t chunk : {0U, 4U, 12U, 127U, 4096U, 1U << 31})
        EXPECT_FALSE(servable([&](auto& sb) { sb.chunk_sectors = chunk; })) << chunk;
    EXPECT_FALSE(servable([](auto& sb) { sb.size = 0; }));
    EXPECT_FALSE(servable([](auto& sb) { sb.size -= 8; }));
    EXPECT_FALSE(servable([](auto& sb) { sb.unknown_padding = true; }));
}

TEST(MdWhitelist, PaddingThatIsNotZeroIsSeen) {
    for (const size_t at : {size_t{12}, size_t{15}, size_t{228}, size_t{255}}) {
        block bytes = load_vector("ls4")[0].bytes;
        bytes.at(at) = 1;
        store_csum(bytes, 128);
        const auto sb = md::parse(bytes);
        ASSERT_TRUE(sb);
        EXPECT_FALSE(md::check_servable(*sb)) << "byte " << at;
    }
}

class BadBlockLog : public testing::Test {
protected:
    // Entries of the log on a member whose superblock says it is in use.
    Status check(const std::vector<uint64_t>& entries) {
        std::vector<uint8_t> log(8 * 512, 0xff);
        for (size_t i = 0; i < entries.size(); i++)
            store_le(std::span<uint8_t>(log), 8 * i, entries[i]);
        const Fd fd = open_file(dir_.file("m", 131072));
        sb_.feature_map = md::feature_bad_blocks;
        EXPECT_EQ(::pwrite(fd.get(), log.data(), log.size(), (8 + sb_.bblog_offset) * 512), 4096);
        const auto terms = md::check_servable_member(fd.get(), sb_);
        if (!terms)
            return forward_error(terms.error());
        return {};
    }
    scratch_dir dir_;
    md_superblock sb_ = vector_superblock("ls4");
};

TEST_F(BadBlockLog, OnlyAnEmptyOneIsServed) {
    EXPECT_TRUE(check({}));
    EXPECT_TRUE(check(std::vector<uint64_t>(512, 0)));
    EXPECT_FALSE(check({(4711ULL << 10) | 8}));
    EXPECT_FALSE(check({0, 0, (4711ULL << 10) | 8}));
    EXPECT_FALSE(check({4711ULL << 10}));
    EXPECT_TRUE(check({~0ULL, 1})) << "md stops at the first entry of all ones";
    EXPECT_NE(check({(4711ULL << 10) | 8}).error().what.find("4711"), std::string::npos);
}

TEST_F(BadBlockLog, AMisplacedOneIsRefused) {
    for (const int32_t offset : {0, -8, 4, 7, 2040, 2048, INT32_MAX, INT32_MIN}) {
        sb_.bblog_offset = offset;
        sb_.feature_map = md::feature_bad_blocks;
        EXPECT_FALSE(md::check_servable(sb_)) << offset;
    }
    sb_.bblog_offset = 2032;  // the last that ends before the data at 2048
    EXPECT_TRUE(md::check_servable(sb_));
    sb_.bblog_sectors = 9;
    EXPECT_FALSE(md::check_servable(sb_));
    sb_.bblog_sectors = 0;
    EXPECT_FALSE(md::check_servable(sb_));
}

}  // namespace
}  // namespace rr::test
