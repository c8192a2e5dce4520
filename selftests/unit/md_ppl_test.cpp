// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// md's partial parity log: what is built is read back, the newest unit is found wherever it
// lies, and a log that points elsewhere is refused.
#include <algorithm>
#include <functional>
#include <random>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/io.h"
#include "md/ppl.h"
#include "md_helpers.h"

namespace rr::test {
namespace {

using bytes = std::vector<uint8_t>;
constexpr md::uuid id{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

bytes noise(size_t size, uint32_t seed) {
    std::mt19937 random(seed);
    bytes out(size);
    for (uint8_t& byte : out)
        byte = static_cast<uint8_t>(random());
    return out;
}

// Four members, left-symmetric, chunks of 64 KiB: stripe 0 has its parity on member 3.
class MdPpl : public testing::Test {
protected:
    md::ppl_shape shape_{{4, 7, RR_LEFT_SYMMETRIC}, uint64_t{3} * 128 * 100, id, 3, 2048};
    bytes area_ = bytes(2048 * 512);

    void put(uint64_t sector, const bytes& unit) {
        ASSERT_LE(sector * 512 + unit.size(), area_.size());
        std::ranges::copy(unit, area_.begin() + static_cast<ptrdiff_t>(sector * 512));
    }
    // Without the zeroes behind it, as md writes one.
    static bytes unit(uint64_t generation, const std::vector<md::new_ppl_entry>& entries) {
        bytes out = md::build_ppl_unit(id, generation, entries);
        out.resize(out.size() - 4096);
        return out;
    }
    Result<std::optional<md::ppl_unit>> read() {
        return md::read_ppl(
            [this](uint64_t sector, std::span<uint8_t> into) {
                EXPECT_LE(sector * 512 + into.size(), area_.size());
                std::copy_n(area_.begin() + static_cast<ptrdiff_t>(sector * 512), into.size(),
                            into.begin());
                return Status{};
            },
            shape_);
    }
    // The header at the area's start, changed and with its sum made right.
    void forge(const std::function<void(std::span<uint8_t> header)>& change) {
        const auto header = std::span<uint8_t>(area_).first(4096);
        change(header);
        store_le<uint32_t>(header, 532, 0);
        store_le(header, 532, crc32c(header));
    }
    std::string refusal() {
        auto log = read();
        if (log)
            return "";
        EXPECT_EQ(log.error().err, EBADMSG);
        EXPECT_FALSE(log.error().hint.empty());
        return log.error().what;
    }
};

TEST_F(MdPpl, WhatIsBuiltIsReadBack) {
    const bytes pp0 = noise(8192, 1), pp1 = noise(4096, 2);
    // Member 3 has the parity of stripes 0 and 4.
    put(0,
        md::build_ppl_unit(
            id, 7,
            {{8, 16384, 3, pp0}, {4 * 384, 3 * 65536, 3, {}}, {4 * 384 + 2 * 128, 4096, 3, pp1}}));
    const auto log = read();
    ASSERT_TRUE(log) << log.error().what;
    ASSERT_TRUE(*log);
    const md::ppl_unit& unit = **log;
    EXPECT_EQ(unit.generation, 7U);
    ASSERT_EQ(unit.entries.size(), 3U);
    EXPECT_EQ(unit.torn(), 0U);
    EXPECT_TRUE(std::ranges::equal(unit.pp_of(unit.entries[0]), pp0));
    EXPECT_TRUE(std::ranges::equal(unit.pp_of(unit.entries[2]), pp1));

    auto rows = md::rows_of(unit.entries[0], shape_).value();
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0].offset, 8U);
    EXPECT_EQ(rows[0].sectors, 16U);
    EXPECT_EQ(rows[0].index, 0U);
    EXPECT_EQ(rows[0].disks, 2U);
    rows = md::rows_of(unit.entries[1], shape_).value();
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0].sectors, 128U);
    EXPECT_EQ(rows[0].disks, 3U);
    EXPECT_FALSE(rows[0].has_pp);
    rows = md::rows_of(unit.entries[2], shape_).value();
    EXPECT_EQ(rows[0].stripe, 4U);
    EXPECT_EQ(rows[0].index, 2U);
    EXPECT_EQ(rows[0].disks, 1U);
}

// Case 3 of the kernel's ppl_recover_entry(), from a chunk's start: the last chunk in part.
TEST_F(MdPpl, WholeChunksOfPartialParityMayHaveAPartOfAChunk) {
    const bytes pp = noise(65536, 3);
    put(0, unit(1, {{0, 65536 + 8192, 3, pp}}));
    const auto log = read();
    ASSERT_TRUE(log) << log.error().what;
    const auto rows = md::rows_of((*log)->entries[0], shape_).value();
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_EQ(rows[0].sectors, 16U);
    EXPECT_EQ(rows[0].disks, 2U);
    EXPECT_EQ(rows[1].offset, 16U);
    EXPECT_EQ(rows[1].sectors, 112U);
    EXPECT_EQ(rows[1].disks, 1U);
    EXPECT_EQ(rows[1].pp_at, 8192U);
}

TEST_F(MdPpl, TheNewestUnitCounts) {
    const bytes pp = noise(4096, 4);
    put(0, unit(5, {{0, 4096, 3, pp}}));
    put(16, unit(6, {{8, 4096, 3, pp}}));
    EXPECT_EQ((*read())->generation, 6U);
    EXPECT_EQ((*read())->place, 16U);
    put(32, unit(6, {{16, 4096, 3, pp}}));
    EXPECT_EQ((*read())->place, 32U) << "as md: generations do not fall";
    put(48, unit(4, {{24, 4096, 3, pp}}));
    EXPECT_EQ((*read())->place, 32U) << "of the round before";
    area_[16 * 512 + 600] ^= 1;
    EXPECT_EQ((*read())->place, 0U) << "its write was cut off, or of another";
    area_[0] ^= 1;
    EXPECT_FALSE(*read()) << "nothing holds";
}

TEST_F(MdPpl, AnotherArraysLogIsNone) {
    put(0, md::build_ppl_unit({9}, 5, {}));
    EXPECT_FALSE(*read());
}

TEST_F(MdPpl, AnEmptyLogHasNoEntries) {
    const auto header = md::empty_ppl(id);
    std::ranges::copy(header, area_.begin());
    const auto log = read();
    ASSERT_TRUE(log && *log);
    EXPECT_TRUE((*log)->entries.empty());
}

// md reads such a one at a wrong place.
TEST_F(MdPpl, AUnitThatEndsWithTheAreaIsFound) {
    const bytes pp = noise(4096, 5), fill = noise(65536, 6);
    std::vector<md::new_ppl_entry> big;
    for (uint64_t i = 0; i < 15; i++)
        big.push_back({4 * i * 384, 65536, 3, fill});
    put(0, unit(1, big));
    put(8 + 15 * 128, unit(2, {{8, 4096 * 3, 3, {}}, {0, 4096, 3, pp}}));
    const uint64_t next = 8 + 15 * 128 + 16;
    put(next, unit(3, {{16, 4096, 3, pp}}));
    shape_.area_sectors = next + 16;
    const auto log = read();
    ASSERT_TRUE(log) << log.error().what;
    ASSERT_TRUE(*log);
    EXPECT_EQ((*log)->place, next);
    EXPECT_EQ((*log)->torn(), 0U);
}

TEST_F(MdPpl, ABuiltUnitEndsTheLog) {
    const bytes pp = noise(4096, 8);
    put(16, unit(9, {{8, 4096, 3, pp}}));
    put(0, md::build_ppl_unit(id, 5, {{0, 4096, 3, pp}}));
    EXPECT_EQ((*read())->generation, 5U) << "what looked like a newer one is behind it";
}

TEST_F(MdPpl, ATornEntryIsTold) {
    const bytes pp = noise(4096, 9);
    put(0, unit(5, {{0, 4096, 3, pp}, {8, 4096, 3, pp}}));
    area_[4096 + 4096 + 100] ^= 1;
    const auto log = read();
    ASSERT_TRUE(log && *log);
    EXPECT_FALSE((*log)->entries[0].torn);
    EXPECT_TRUE((*log)->entries[1].torn);
}

TEST_F(MdPpl, HostileLogsAreRefused) {
    const bytes pp = noise(4096, 10);
    const bytes sound = unit(5, {{8, 4096, 3, pp}});
    const auto refused = [&](const char* what, size_t offset, uint64_t value, bool wide = false) {
        put(0, sound);
        EXPECT_EQ(refusal(), "") << "before";
        forge([&](std::span<uint8_t> header) {
            if (wide)
                store_le<uint64_t>(header, offset, value);
            else
                store_le<uint32_t>(header, offset, static_cast<uint32_t>(value));
        });
        EXPECT_NE(refusal().find(what), std::string::npos) << what << ": '" << refusal() << "'";
    };
    refused("entries in a unit", 528, 149);
    refused("entries in a unit", 528, 0xffffffff);
    refused("parity on member", 536, 384, true);                 // another stripe
    refused("of an array of", 536, shape_.array_sectors, true);  // beyond it
    refused("of an array of", 536, ~uint64_t{0}, true);
    refused("parity on member", 536 + 16, 2);  // as md would stop the machine at
    refused("parity on member", 536 + 16, 0xffffffff);
    refused("of partial parity", 536 + 8, 100);
    refused("ends behind the area", 536 + 8, 0xfffffe00);
    refused("ends behind the area", 536 + 8, 1U << 20);
    refused("with 131072 of partial parity", 536 + 8, 131072);
    refused("of 0 bytes of data", 536 + 12, 0);
    refused("of 4097 bytes of data", 536 + 12, 4097);
    refused("in rows of", 536 + 12, 4096 + 512);
    refused("leaves its stripe", 536 + 12, 4 * 4096);  // one chunk more than there are
    refused("leaves its stripe", 536 + 12, 0xfffff000);
    refused("leaves its stripe", 536, 127, true);  // rows beyond the chunk
}

TEST_F(MdPpl, FullRowsBeginAtTheFirstChunk) {
    put(0, unit(1, {{128, 3 * 4096, 3, {}}}));
    EXPECT_NE(refusal().find("leaves its stripe"), std::string::npos);
    put(0, unit(1, {{120, 3 * 8192, 3, {}}}));
    EXPECT_NE(refusal().find("leaves its stripe"), std::string::npos);
    put(0, unit(1, {{120, 3 * 4096, 3, {}}}));
    EXPECT_EQ(refusal(), "");
    put(0, unit(1, {{0, 4096, 3, {}}}));
    EXPECT_NE(refusal().find("in rows of"), std::string::npos);
}

TEST_F(MdPpl, RowsAreWholeBlocksOfTheMembers) {
    const bytes pp = noise(512, 11);
    put(0, unit(1, {{1, 512, 3, pp}}));
    EXPECT_EQ(refusal(), "");
    shape_.block_bytes = 4096;
    EXPECT_NE(refusal().find("blocks of 4096"), std::string::npos);
}

TEST_F(MdPpl, AReaderThatFailsIsNoLog) {
    const auto log = md::read_ppl(
        [](uint64_t, std::span<uint8_t>) { return Status(fail(EIO, "cannot")); }, shape_);
    ASSERT_FALSE(log);
    EXPECT_EQ(log.error().err, EIO);
}

TEST(MdPplPlace, IsBetweenSuperblockAndData) {
    md::md_superblock sb = md::parse(load_vector("ppl4")[0].bytes).value();
    const auto area = md::locate_ppl(sb);
    ASSERT_TRUE(area) << area.error().what;
    EXPECT_EQ(area->sector, 16U);
    EXPECT_EQ(area->sectors, 2048U);
    const auto found = [&sb](int16_t offset, uint16_t size) {
        sb.log_place = static_cast<int32_t>(uint32_t{size} << 16 | static_cast<uint16_t>(offset));
        return md::locate_ppl(sb).has_value();
    };
    EXPECT_FALSE(found(0, 2048)) << "on the superblock";
    EXPECT_FALSE(found(-8, 8));
    EXPECT_FALSE(found(8, 8)) << "no room for partial parity";
    EXPECT_FALSE(found(12, 64)) << "not on blocks of 4 KiB";
    EXPECT_TRUE(found(8, 17));
    EXPECT_EQ(md::locate_ppl(sb)->sectors, 16U) << "as md rounds it";
    EXPECT_FALSE(found(8, 65535)) << "into the data";
    EXPECT_TRUE(found(8, 2048));
    sb.feature_map |= md::feature_bad_blocks;
    sb.bblog_offset = 1000;
    sb.bblog_sectors = 8;
    EXPECT_FALSE(found(8, 2048)) << "over the bad block log";
    sb.feature_map = 0;
    EXPECT_FALSE(found(8, 2048)) << "there is none";
}

TEST(MdPplPlace, EmptiedItHasNothingLeft) {
    const scratch_dir dir;
    const Fd fd = open_file(dir.file("member", 8192));
    const bytes before = noise(size_t{8192} * 512, 12);
    ASSERT_TRUE(write_exact(fd.get(), before, 0));
    ASSERT_TRUE(md::write_empty_ppl(fd.get(), id, {16, 2048}));
    bytes after(before.size());
    ASSERT_TRUE(read_exact(fd.get(), after, 0));
    EXPECT_TRUE(std::equal(after.begin(), after.begin() + 8192, before.begin()));
    const auto header = md::empty_ppl(id);
    EXPECT_TRUE(std::equal(header.begin(), header.end(), after.begin() + 8192));
    const auto rest = std::span(after).subspan(8192 + 4096, 2048 * 512 - 4096);
    EXPECT_TRUE(std::ranges::all_of(rest, [](uint8_t byte) { return byte == 0; }));
    const size_t behind = 8192 + 2048 * 512;
    EXPECT_TRUE(std::equal(after.begin() + behind, after.end(), before.begin() + behind));
}

// Two units whose rows are one: the older one would undo what the newer one's write made. Cut
// off between any two sectors, in any order of those that no flush has parted.
TEST_F(MdPpl, EmptiedAndCutOffItNeverSaysWhatAnOlderUnitSays) {
    const bytes pp = noise(4096, 21);
    const bytes old_unit = unit(7, {{0, 4096, 3, pp}});
    put(0, old_unit);
    put(old_unit.size() / 512, unit(8, {{8, 4096, 3, pp}}));
    ASSERT_EQ((*read())->generation, 8U);
    const bytes before = area_;
    std::vector<std::vector<std::pair<uint64_t, bytes>>> rounds(1);
    const md::ppl_device device{[&](uint64_t sector, std::span<const uint8_t> from) {
                                    for (size_t at = 0; at < from.size(); at += 512) {
                                        const auto one = from.subspan(at, 512);
                                        rounds.back().emplace_back(sector + at / 512,
                                                                   bytes(one.begin(), one.end()));
                                    }
                                    return Status{};
                                },
                                [&] {
                                    rounds.emplace_back();
                                    return Status{};
                                }};
    ASSERT_TRUE(md::write_empty_ppl(device, id, {0, shape_.area_sectors}));
    std::mt19937 random(16);
    for (uint32_t cut = 0; cut < 2000; cut++) {
        area_ = before;
        const size_t last = cut % rounds.size();
        for (size_t round = 0; round <= last; round++) {
            for (const auto& [sector, one] : rounds[round]) {
                if (round < last || random() % 2 == 0)
                    std::ranges::copy(one, area_.begin() + static_cast<ptrdiff_t>(sector * 512));
            }
        }
        const auto log = read();
        ASSERT_TRUE(log) << log.error().what;
        EXPECT_TRUE(!*log || (*log)->entries.empty() || (*log)->generation == 8) << "cut " << cut;
    }
}

}  // namespace
}  // namespace rr::test
