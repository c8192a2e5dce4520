// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Superblocks: md's own as vectors, ours judged by mdadm, and hostile ones.
#include <cstring>
#include <ctime>
#include <random>

#include "base/bytes.h"
#include "md/assemble.h"
#include "md/ppl.h"
#include "md/superblock.h"
#include "md/whitelist.h"
#include "md_helpers.h"
#include "ringraid/geometry.h"

namespace rr::test {
namespace {

using md::md_superblock;

std::string as_date(uint64_t md_time) {
    const auto seconds = static_cast<time_t>(md_time & ((1ULL << 40) - 1));
    std::array<char, 64> text{};
    tm parts{};
    std::strftime(text.data(), text.size(), "%a %b %e %H:%M:%S %Y", gmtime_r(&seconds, &parts));
    return text.data();
}

std::string as_role(uint16_t role) {
    if (role == md::role_journal)
        return "Journal";
    return role == md::role_spare ? "spare" : fmt::format("Active device {}", role);
}

// mdadm's picture of the role table: one letter per position.
std::string as_array_state(const md_superblock& sb) {
    std::string state;
    for (uint32_t position = 0; position < sb.raid_disks; position++) {
        bool held = false;
        for (const uint16_t role : sb.dev_roles)
            held = held || role == position;
        state += held ? 'A' : '.';
    }
    return state;
}

// The first word of a field of mdadm's, or all of it when it is a date or name.
std::string word(const examined& says, const std::string& field) {
    const auto found = says.find(field);
    if (found == says.end())
        return "(absent)";
    return found->second.substr(0, found->second.find(' '));
}

std::string whole(const examined& says, const std::string& field) {
    const auto found = says.find(field);
    return found == says.end() ? "(absent)" : found->second;
}

void expect_array_as_examined(const md_superblock& sb, const examined& says) {
    static const char* layouts[] = {"left-asymmetric", "right-asymmetric", "left-symmetric",
                                    "right-symmetric"};
    EXPECT_EQ(fmt::format("{:#x}", sb.feature_map), whole(says, "Feature Map"));
    EXPECT_EQ(md::to_string(sb.set_uuid), whole(says, "Array UUID"));
    EXPECT_EQ(sb.set_name, word(says, "Name"));
    EXPECT_EQ(as_date(sb.ctime), whole(says, "Creation Time"));
    EXPECT_EQ(as_date(sb.utime), whole(says, "Update Time"));
    EXPECT_EQ(fmt::format("raid{}", sb.level), whole(says, "Raid Level"));
    EXPECT_EQ(fmt::format("{}", sb.raid_disks), word(says, "Raid Devices"));
    EXPECT_EQ(fmt::format("{}", sb.events), whole(says, "Events"));
    EXPECT_EQ(sb.clean() ? "clean" : "active", whole(says, "State"));
    EXPECT_EQ(as_array_state(sb), word(says, "Array State"));
    if (sb.level == 5) {
        ASSERT_LT(sb.layout, std::size(layouts));
        EXPECT_EQ(layouts[sb.layout], whole(says, "Layout"));
        EXPECT_EQ(fmt::format("{}K", sb.chunk_sectors / 2), whole(says, "Chunk Size"));
        EXPECT_EQ(fmt::format("{}", sb.size * (sb.raid_disks - 1) / 2), word(says, "Array Size"));
    }
}

void expect_member_as_examined(const md_superblock& sb, const examined& says) {
    EXPECT_EQ(md::to_string(sb.device_uuid), whole(says, "Device UUID"));
    EXPECT_EQ(fmt::format("{}", sb.data_offset), word(says, "Data Offset"));
    EXPECT_EQ("8", word(says, "Super Offset"));
    EXPECT_EQ(fmt::format("{}", sb.data_size), word(says, "Avail Dev Size"));
    if (says.count("Used Dev Size") != 0) {
        EXPECT_EQ(fmt::format("{}", sb.size), word(says, "Used Dev Size"));
    } else if (sb.role() != md::role_journal) {
        EXPECT_EQ(sb.size, sb.data_size);
    }
    EXPECT_EQ(as_role(sb.role()), whole(says, "Device Role"));
    if (sb.bblog_sectors != 0) {
        EXPECT_EQ(fmt::format("{} entries available at offset {} sectors", sb.bblog_sectors * 64,
                              sb.bblog_offset),
                  whole(says, "Bad Block Log"));
    }
    EXPECT_EQ(fmt::format("{:x} - correct", load_le<uint32_t>(serialize(sb), 216)),
              whole(says, "Checksum"));
}

class MdVector : public testing::TestWithParam<std::string> {};

TEST_P(MdVector, EveryFieldIsWhatMdadmSaysAndARewriteChangesNoByte) {
    for (const auto& member : load_vector(GetParam())) {
        auto sb = md::parse(member.bytes);
        ASSERT_TRUE(sb) << describe(sb.error());
        SCOPED_TRACE(md::to_string(sb->device_uuid));
        // mdadm prints the array after a reshape; the fields hold it before.
        if (GetParam() != "reshaping4")
            expect_array_as_examined(*sb, member.says);
        expect_member_as_examined(*sb, member.says);
        EXPECT_EQ(md::serialize(*sb), member.bytes);
    }
}

INSTANTIATE_TEST_SUITE_P(All, MdVector, testing::ValuesIn(all_vectors));

TEST(MdVectors, PlacesOfLogsAndCheckpointsAreRead) {
    EXPECT_EQ(md::parse(load_vector("rs3bitmap")[0].bytes)->log_place, 8);
    EXPECT_EQ(md::parse(load_vector("ppl4")[0].bytes)->log_place, 8 | 2048 << 16);
    // "Recovery Offset : N sectors"
    const auto rebuilding = load_vector("rebuilding4")[1];
    EXPECT_EQ(fmt::format("{} sectors", md::parse(rebuilding.bytes)->recovery_offset),
              rebuilding.says.at("Recovery Offset"));
    const auto rebuilt = md::parse(load_vector("rebuilt4")[4].bytes);
    EXPECT_EQ(rebuilt->dev_number, 4U);
    EXPECT_EQ(rebuilt->role(), 1U);
}

// --- Ours, judged by mdadm.

class MdNew : public testing::TestWithParam<std::tuple<uint32_t, uint32_t, uint32_t>> {};

TEST_P(MdNew, MdadmReadsWhatWeMake) {
    const auto [members, layout, chunk] = GetParam();
    md::new_array spec = four_members();
    spec.member_sectors.assign(members, 131072);
    spec.member_sectors[0] = 131072 + 1024;  // a larger one
    spec.layout = layout;
    spec.chunk_sectors = chunk;
    spec.clean = layout % 2 == 0;
    const scratch_dir dir;
    const auto made = must_make(spec);
    ASSERT_EQ(made.size(), members);
    for (uint32_t role = 0; role < members; role++) {
        const std::string path = dir.file(fmt::format("m{}", role), spec.member_sectors[role]);
        ASSERT_TRUE(md::write_superblock(open_file(path).get(), made[role]));
        const examined says = examine(path);
        EXPECT_EQ(whole(says, "Version"), "1.2");
        EXPECT_EQ(word(says, "Name"), "host:test");
        EXPECT_EQ(as_role(static_cast<uint16_t>(role)), whole(says, "Device Role"));
        EXPECT_EQ(std::string(members, 'A'), word(says, "Array State"));
        expect_array_as_examined(made[role], says);
        expect_member_as_examined(made[role], says);
    }
}

INSTANTIATE_TEST_SUITE_P(All, MdNew,
                         testing::Combine(testing::Values(3U, 4U, 16U), testing::Range(0U, 4U),
                                          testing::Values(8U, 128U, 2048U)));

TEST(MdNewArray, MembersShareTheArrayAndNothingElse) {
    const auto made = must_make(four_members());
    for (uint32_t role = 0; role < 4; role++) {
        EXPECT_EQ(made[role].set_uuid, made[0].set_uuid);
        EXPECT_EQ(made[role].dev_number, role);
        EXPECT_EQ(made[role].role(), role);
        EXPECT_EQ(made[role].dev_roles.size(), 128U);
        EXPECT_EQ(made[role].logical_block_size, 0U);
        EXPECT_EQ(made[role].feature_map, 0U);
        EXPECT_EQ(made[role].role_of(4), md::role_spare);
        for (uint32_t other = 0; other < role; other++)
            EXPECT_NE(made[role].device_uuid, made[other].device_uuid);
    }
    EXPECT_NE(must_make(four_members())[0].set_uuid, made[0].set_uuid);
}

TEST(MdNewArray, DataLiesBehindTheReservedAreasAndWithinTheSmallestMember) {
    for (const uint64_t sectors : {8192ULL, 131072ULL, 2097152ULL, 1ULL << 32, 1ULL << 40}) {
        md::new_array spec = four_members(sectors + 777);
        spec.member_sectors[2] = sectors;
        const auto made = must_make(spec);
        EXPECT_GE(made[0].data_offset, 2072U) << sectors;
        EXPECT_EQ(made[0].data_offset % 2048, 0U);
        EXPECT_LE(made[0].data_offset, 4096 + sectors / 1024) << sectors;
        EXPECT_EQ(made[0].size % 128, 0U);
        EXPECT_LE(made[2].data_offset + made[2].size, sectors);
        EXPECT_GT(made[2].data_offset + made[2].size + 128, sectors);
        EXPECT_EQ(made[2].data_offset + made[2].data_size, sectors);
        EXPECT_EQ(made[0].data_offset + made[0].data_size, sectors + 777);
    }
}

TEST(MdNewArray, CleanAndDirtyStartsDiffer) {
    md::new_array spec = four_members();
    EXPECT_EQ(must_make(spec)[0].resync_offset, ~0ULL);
    spec.clean = false;
    EXPECT_EQ(must_make(spec)[0].resync_offset, 0U);
    EXPECT_FALSE(must_make(spec)[0].clean());
}

TEST(MdNewArray, NameCarriesTheHostWhereItFits) {
    md::new_array spec = four_members();
    spec.host = "";
    EXPECT_EQ(must_make(spec)[0].set_name, "test");
    spec.host = std::string(40, 'h');
    EXPECT_EQ(must_make(spec)[0].set_name, "test");
    spec.name = std::string(32, 'n');
    const auto full = md::parse(md::serialize(must_make(spec)[0]));
    EXPECT_EQ(full->set_name, spec.name);
}

TEST(MdNewArray, WhatCannotBeServedIsNotMade) {
    const auto error_of = [](auto change) {
        md::new_array spec = four_members();
        change(spec);
        const auto made = md::make_new(spec);
        return made ? 0 : made.error().err;
    };
    EXPECT_EQ(error_of([](auto&) {}), 0);
    EXPECT_EQ(error_of([](auto& s) { s.member_sectors.resize(2); }), EINVAL);
    EXPECT_EQ(error_of([](auto& s) { s.member_sectors.assign(17, 131072); }), EINVAL);
    EXPECT_EQ(error_of([](auto& s) { s.chunk_sectors = 0; }), EINVAL);
    EXPECT_EQ(error_of([](auto& s) { s.chunk_sectors = 4; }), EINVAL);
    EXPECT_EQ(error_of([](auto& s) { s.chunk_sectors = 96; }), EINVAL);
    EXPECT_EQ(error_of([](auto& s) { s.chunk_sectors = 4096; }), EINVAL);
    EXPECT_EQ(error_of([](auto& s) { s.layout = 4; }), EINVAL);
    EXPECT_EQ(error_of([](auto& s) { s.name = ""; }), EINVAL);
    EXPECT_EQ(error_of([](auto& s) { s.name = "a\nb"; }), EINVAL);
    EXPECT_EQ(error_of([](auto& s) { s.name = std::string(33, 'n'); }), EINVAL);
    EXPECT_EQ(error_of([](auto& s) { s.member_sectors[1] = 4096; }), ENOSPC);
    EXPECT_EQ(error_of([](auto& s) { s.member_sectors[1] = 0; }), ENOSPC);
    EXPECT_EQ(error_of([](auto& s) { s.size_limit = 131072; }), ENOSPC);
    EXPECT_EQ(error_of([](auto& s) { s.member_sectors[1] = ~0ULL; }), EINVAL);
}

// --- Reading and writing.

TEST(MdSuperblockIo, WriteThenReadGivesTheSameBytesAndNothingElseChanges) {
    const scratch_dir dir;
    const std::string path = dir.file("m", 8192);
    const Fd fd = open_file(path);
    const std::vector<uint8_t> mark(16 * 512, 0x5a);
    ASSERT_EQ(::pwrite(fd.get(), mark.data(), mark.size(), 0), static_cast<ssize_t>(mark.size()));
    const auto made = must_make(four_members());
    ASSERT_TRUE(md::write_superblock(fd.get(), made[3]));
    const auto read = md::read_superblock(fd.get());
    ASSERT_TRUE(read) << describe(read.error());
    EXPECT_EQ(md::serialize(*read), md::serialize(made[3]));
    std::vector<uint8_t> before(4096);
    ASSERT_EQ(::pread(fd.get(), before.data(), before.size(), 0), 4096);
    EXPECT_EQ(before, std::vector<uint8_t>(4096, 0x5a));
    EXPECT_EQ(std::filesystem::file_size(path), 8192U * 512);
}

TEST(MdSuperblockIo, ErrorsNameTheCause) {
    const scratch_dir dir;
    const auto blank = md::read_superblock(open_file(dir.file("blank", 64)).get());
    ASSERT_FALSE(blank);
    EXPECT_EQ(blank.error().err, ENODATA);
    const auto tiny = md::read_superblock(open_file(dir.file("tiny", 9)).get());
    ASSERT_FALSE(tiny);
    EXPECT_EQ(tiny.error().err, ENODATA);
    const Fd read_only = open_file(dir.file("ro", 64), O_RDONLY);
    const auto written = md::write_superblock(read_only.get(), must_make(four_members())[0]);
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().err, EBADF);
}

TEST(MdSuperblockIo, BytesThatAreNotUnderstoodSurviveAChange) {
    auto bytes = load_vector("ls4")[0].bytes;
    bytes[120] = 0x77;   // a reshape field
    bytes[3000] = 0x99;  // behind the role table
    bytes[60] = 0x11;    // behind the end of the name
    store_csum(bytes, 128);
    auto sb = md::parse(bytes);
    ASSERT_TRUE(sb);
    sb->events += 5;
    sb->resync_offset = 0;
    const auto changed = md::serialize(*sb);
    for (size_t at = 0; at < changed.size(); at++) {
        if (at / 8 != 200 / 8 && at / 8 != 208 / 8 && at / 4 != 216 / 4) {
            EXPECT_EQ(changed[at], bytes[at]) << "byte " << at;
        }
    }
    EXPECT_EQ(md::parse(changed)->events, sb->events);
}

// --- Hostile headers.

// Everything that is done with a superblock before anyone trusts it.
void use(const block& bytes) {
    auto sb = md::parse(bytes);
    if (!sb) {
        EXPECT_NE(sb.error().err, 0);
        EXPECT_FALSE(sb.error().what.empty());
        return;
    }
    EXPECT_LE(sb->data_offset + sb->data_size, md::sectors_limit);
    EXPECT_LE(sb->size, sb->data_size);
    EXPECT_GE(sb->data_offset, 16U);
    // Only fields that we do not keep may differ: none.
    EXPECT_EQ(md::serialize(*sb), bytes);
    if (md::check_servable(*sb)) {
        EXPECT_EQ(sb->level, 5);
        EXPECT_GE(sb->raid_disks, 3U);
        EXPECT_LE(sb->raid_disks, 16U);
        EXPECT_LE(sb->layout, 3U);
    }
    const auto sound = load_vector("ls4");
    std::vector<md::candidate> candidates{{"hostile", 131072, std::move(sb)}};
    for (size_t i = 1; i < sound.size(); i++)
        candidates.push_back({fmt::format("sound{}", i), 131072, md::parse(sound[i].bytes)});
    const auto plan = md::plan_assembly(candidates, {.degraded = true});
    if (!plan)
        return;
    EXPECT_TRUE(rr_geometry_valid(&plan->geometry));
    EXPECT_EQ(plan->members.size(), plan->geometry.members);
    EXPECT_LE(plan->missing.size(), 1U);
    for (const auto& member : plan->members) {
        if (member) {
            EXPECT_LE(member->superblock.data_offset + plan->member_sectors, 131072U);
        }
    }
}

TEST(MdHostile, EveryFlippedBitIsRefusedByTheChecksum) {
    const block sound = load_vector("ls4")[0].bytes;
    for (size_t bit = 0; bit < 512 * 8; bit++) {
        block bytes = sound;
        bytes.at(bit / 8) = static_cast<uint8_t>(bytes.at(bit / 8) ^ (1U << bit % 8));
        EXPECT_FALSE(md::parse(bytes)) << "bit " << bit;
    }
}

TEST(MdHostile, EveryChangedByteWithARightChecksumIsHarmless) {
    const block sound = load_vector("ls4")[0].bytes;
    for (size_t at = 0; at < 512; at++) {
        for (const uint8_t value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
            block bytes = sound;
            bytes.at(at) = value;
            store_csum(bytes, std::min(load_le<uint32_t>(bytes, 220), md::max_dev_limit));
            SCOPED_TRACE(fmt::format("byte {} = {:#x}", at, value));
            use(bytes);
        }
    }
}

TEST(MdHostile, RandomFieldsWithARightChecksumAreHarmless) {
    const uint32_t seed = std::random_device()();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937 random(seed);
    const block sound = load_vector("ls4")[0].bytes;
    for (int round = 0; round < 3000; round++) {
        block bytes = sound;
        // Whole garbage behind magic and version, or a few fields of it.
        const int changes = round % 3 == 0 ? 4000 : static_cast<int>(random() % 6) + 1;
        for (int i = 0; i < changes; i++)
            bytes.at(8 + random() % (i < 40 ? 248 : 4088)) = static_cast<uint8_t>(random());
        store_le(std::span<uint8_t>(bytes), 144, md::sb_sector);
        const auto max_dev = static_cast<uint32_t>(random() % 2000);
        store_le(std::span<uint8_t>(bytes), 220, max_dev);
        store_csum(bytes, std::min(max_dev, md::max_dev_limit));
        use(bytes);
    }
}

// A field of the sound superblock set to @value, with a right checksum.
template <typename T>
Result<md_superblock> with_field(size_t offset, T value) {
    block bytes = load_vector("ls4")[0].bytes;
    store_le(std::span<uint8_t>(bytes), offset, value);
    store_csum(bytes, std::min(load_le<uint32_t>(bytes, 220), md::max_dev_limit));
    return md::parse(bytes);
}

TEST(MdHostile, TablesAndSizesBeyondAnyDeviceAreRefused) {
    EXPECT_TRUE(with_field<uint32_t>(220, md::max_dev_limit));
    // By their number, before a checksum is taken over bytes that do not exist.
    for (const uint32_t roles : {md::max_dev_limit + 1, 0x7fffff80U, 0x80000000U, 0xffffffffU}) {
        const auto refused = with_field<uint32_t>(220, roles);
        ASSERT_FALSE(refused) << roles;
        EXPECT_NE(refused.error().what.find("roles"), std::string::npos) << refused.error().what;
    }
    EXPECT_FALSE(with_field<uint64_t>(128, ~0ULL));  // data_offset
    EXPECT_FALSE(with_field<uint64_t>(128, 1ULL << 63));
    EXPECT_FALSE(with_field<uint64_t>(128, 8));  // on the superblock
    EXPECT_FALSE(with_field<uint64_t>(128, 15));
    EXPECT_FALSE(with_field<uint64_t>(136, ~0ULL));         // data_size
    EXPECT_FALSE(with_field<uint64_t>(136, ~0ULL - 2047));  // wraps with data_offset
    EXPECT_FALSE(with_field<uint64_t>(80, ~0ULL));          // size
    EXPECT_FALSE(with_field<uint64_t>(80, 129025));         // beyond data_size
    EXPECT_FALSE(with_field<uint64_t>(144, 0));             // super_offset
    EXPECT_FALSE(with_field<uint64_t>(144, 16));
    EXPECT_FALSE(with_field<uint32_t>(4, 0));  // version
    EXPECT_FALSE(with_field<uint32_t>(4, 2));
    EXPECT_FALSE(md::parse(std::span<const uint8_t>()));
    EXPECT_FALSE(md::parse(std::span(load_vector("ls4")[0].bytes).first(512)));
}

TEST(MdHostile, ATotalSizeThatOverflowsIsRefused) {
    block bytes = load_vector("ls4")[0].bytes;
    store_le(std::span<uint8_t>(bytes), 80, uint64_t{1} << 40);   // size
    store_le(std::span<uint8_t>(bytes), 136, uint64_t{1} << 40);  // data_size
    store_csum(bytes, 128);
    EXPECT_TRUE(md::parse(bytes));
    for (const uint32_t members : {1U << 15, 1U << 24, 0xffffffffU}) {  // 2^64 and more, too
        store_le(std::span<uint8_t>(bytes), 92, members);
        store_csum(bytes, 128);
        EXPECT_FALSE(md::parse(bytes)) << members;
    }
}

TEST(MdHostile, ADeviceNumberOutsideOfTheTableIsASpare) {
    for (const uint32_t number : {128U, 1920U, 0x7fffffffU, 0xffffffffU}) {
        const auto sb = with_field<uint32_t>(160, number);
        ASSERT_TRUE(sb);
        EXPECT_EQ(sb->role(), md::role_spare) << number;
    }
}

TEST(MdChecksum, IsTheSumOfWordsWithTheCarryAdded) {
    // By hand: 64 header words of 0xffffffff, of which the checksum counts as
    // zero, and one role of 0xffff.
    block bytes{};
    bytes.fill(0xff);
    const uint64_t sum = 63 * 0xffffffffULL + 0xffff;
    EXPECT_EQ(md::sb_csum(bytes, 1), static_cast<uint32_t>((sum & 0xffffffff) + (sum >> 32)));
}

// --- Where a log goes.

TEST(MdSuperblockPpl, ANewArrayHasItAsMdadmDoes) {
    md::new_array spec = four_members();
    spec.policy = md::consistency::ppl;
    const auto made = must_make(spec);
    const auto of_md = md::parse(load_vector("ppl4")[0].bytes);
    ASSERT_TRUE(of_md);
    EXPECT_EQ(made[0].feature_map, of_md->feature_map);
    EXPECT_EQ(made[0].log_place, of_md->log_place);
    EXPECT_EQ(made[0].bblog_offset, of_md->bblog_offset);
    EXPECT_EQ(made[0].data_offset, of_md->data_offset);
    EXPECT_EQ(md::consistency_of(made[0]), md::consistency::ppl);
}

TEST(MdSuperblockPpl, ItLiesOnNothingElse) {
    // mdadm leaves so much for a bitmap, with the bad block log right behind.
    for (const uint16_t before : {8, 128, 256, 264, 2048, 30000}) {
        md_superblock sb = must_make(four_members())[0];
        sb.data_offset = 262144;
        sb.bblog_offset = 8 + before;
        sb.bblog_sectors = 8;
        sb.feature_map = md::feature_bad_blocks;
        ASSERT_TRUE(md::name_ppl(sb));
        const auto area = md::locate_ppl(sb);
        ASSERT_TRUE(area) << before << ": " << area.error().what;
        EXPECT_EQ(area->sector, before >= 264 ? 16U : 16U + before + 8U);
        EXPECT_GE(area->sectors, 264U);
    }
}

TEST(MdSuperblockPpl, WhereThereIsTooLittleRoomItIsNotNamed) {
    md_superblock sb = must_make(four_members())[0];
    sb.bblog_offset = 0;
    sb.bblog_sectors = 0;
    sb.data_offset = 16 + 256;
    const auto before = md::serialize(sb);
    const Status refused = md::name_ppl(sb);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().err, ENOSPC);
    EXPECT_EQ(md::serialize(sb), before);
    // As far as an offset of 16 bits reaches.
    sb.data_offset = 400000;
    sb.bblog_offset = 8 + 8;
    sb.bblog_sectors = 40000;
    EXPECT_FALSE(md::name_ppl(sb));
}

TEST(MdSuperblockPpl, ASpareHasNoneBeforeItIsNamed) {
    md::new_array spec = four_members();
    spec.policy = md::consistency::ppl;
    const md_superblock of = must_make(spec)[0];
    auto spare = md::make_spare(of, 131072, {});
    ASSERT_TRUE(spare);
    EXPECT_EQ(spare->log_place, 0);
    EXPECT_EQ(md::consistency_of(*spare), md::consistency::resync);
    ASSERT_TRUE(md::name_ppl(*spare));
    EXPECT_EQ(spare->log_place, of.log_place);
    EXPECT_TRUE(md::locate_ppl(*spare));
}

}  // namespace
}  // namespace rr::test
