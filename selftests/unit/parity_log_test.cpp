// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a start does with an array that has a partial parity log.
#include <fcntl.h>

#include <filesystem>

#include "base/io.h"
#include "md_helpers.h"
#include "service/parity_log.h"

namespace rr::test {
namespace {

constexpr uint64_t sectors = 16384;

class ParityLog : public testing::Test {
protected:
    ParityLog() {
        md::new_array spec = four_members(sectors);
        spec.chunk_sectors = 128;
        superblocks_ = must_make(spec);
        for (uint32_t role = 0; role < 4; role++) {
            md::md_superblock& sb = superblocks_[role];
            sb.feature_map = md::feature_multiple_ppls;
            sb.log_place = 8 | 2048 << 16;
            sb.resync_offset = 0;
            paths_.push_back(dir_.file(fmt::format("m{}", role), sectors));
            const Fd fd = open_file(paths_[role]);
            EXPECT_TRUE(md::write_empty_ppl(fd.get(), sb.set_uuid, {16, 2048}));
        }
    }
    // Without @missing, as the superblocks say.
    array_members members(std::optional<uint32_t> missing = std::nullopt) {
        std::vector<md::candidate> candidates;
        for (uint32_t role = 0; role < 4; role++) {
            if (role != missing)
                candidates.push_back({paths_[role], sectors, superblocks_[role]});
        }
        auto plan = md::plan_assembly(candidates, {.degraded = true});
        EXPECT_TRUE(plan) << (plan ? "" : plan.error().what);
        array_members out;
        out.plan = std::move(*plan);
        out.found = superblocks_;
        out.devices.resize(4);
        for (uint32_t role = 0; role < 4; role++) {
            if (role == missing)
                continue;
            out.devices[role].emplace();
            out.devices[role]->path = paths_[role];
            out.devices[role]->fd = open_file(paths_[role]);
        }
        return out;
    }
    // One entry in the log of member 3, which has the parity of stripe 0: chunk 1.
    void log_entry(bool torn = false, uint64_t sector = 128) {
        std::vector<uint8_t> pp(4096, 0x5a);
        auto unit = md::build_ppl_unit(superblocks_[0].set_uuid, 3, {{sector, 4096, 3, pp}});
        unit[4096] ^= torn ? 1 : 0;
        put(3, 16, unit);
    }
    void put(uint32_t role, uint64_t sector, const std::vector<uint8_t>& bytes) {
        ASSERT_TRUE(write_exact(open_file(paths_[role]).get(), bytes, sector * 512));
    }
    std::vector<uint8_t> get(uint32_t role, uint64_t sector, size_t bytes) {
        std::vector<uint8_t> out(bytes);
        EXPECT_TRUE(read_exact(open_file(paths_[role]).get(), out, sector * 512));
        return out;
    }
    void takes_no_writes(array_members& m, uint32_t role) {
        m.devices[role]->fd.reset(::open(paths_[role].c_str(), O_RDONLY | O_CLOEXEC));
    }
    void expect_empty_logs(const array_members& m) {
        for (uint32_t role = 0; role < 4; role++) {
            auto left = md::read_ppl(open_file(paths_[role]).get(), m.found[role], m.plan.geometry,
                                     role, 512);
            ASSERT_TRUE(left && *left);
            EXPECT_TRUE((*left)->entries.empty());
        }
    }
    // What its superblocks become.
    void write_clean(const array_members& m) {
        md::array_metadata metadata(m.metadata_state(),
                                    [this](uint32_t role, const md::md_superblock& sb) {
                                        superblocks_[role] = sb;
                                        return Status{};
                                    });
        metadata.resync_finished();
        ASSERT_TRUE(metadata.mark_clean());
    }
    uint64_t data() const { return superblocks_[0].data_offset; }

    scratch_dir dir_;
    std::vector<md::md_superblock> superblocks_;
    std::vector<std::string> paths_;
};

TEST_F(ParityLog, RowsAreRecoveredAndTheLogIsKept) {
    log_entry();
    array_members m = members();
    ASSERT_TRUE(find_parity_logs(m, false));
    ASSERT_TRUE(m.logs);
    EXPECT_TRUE(m.logs->sound);
    EXPECT_TRUE(m.logged);
    EXPECT_FALSE(m.bitmap);
    const auto done = recover_from_logs(m, 1);
    ASSERT_TRUE(done) << done.error().what;
    EXPECT_TRUE(done->parity_right) << "chunk 1 has zeroes, and so has all else";
    EXPECT_EQ(done->replayed.entries, 1U);
    EXPECT_EQ(get(3, data(), 4096), std::vector<uint8_t>(4096, 0x5a));
    expect_empty_logs(m);
    write_clean(m);
    for (const md::md_superblock& sb : superblocks_) {
        EXPECT_TRUE(sb.clean());
        EXPECT_EQ(sb.feature_map, md::feature_multiple_ppls);
        EXPECT_EQ(sb.log_place, 8 | 2048 << 16);
    }
}

// A member whose own log is too small for ours.
TEST_F(ParityLog, WithoutRoomForOursItIsGivenUpForABitmap) {
    log_entry();
    superblocks_[1].log_place = 8 | 128 << 16;
    array_members m = members();
    ASSERT_TRUE(find_parity_logs(m, false));
    EXPECT_FALSE(m.logged);
    const auto done = recover_from_logs(m, 1);
    ASSERT_TRUE(done) << done.error().what;
    EXPECT_EQ(get(3, data(), 4096), std::vector<uint8_t>(4096, 0x5a));
    expect_empty_logs(m);
    ASSERT_TRUE(m.bitmap);
    EXPECT_EQ(m.bitmap->count(), m.bitmap->bits());
    write_clean(m);
    for (const md::md_superblock& sb : superblocks_) {
        EXPECT_EQ(sb.feature_map, md::feature_bitmap);
        EXPECT_GE(md::bitmap_room(sb), m.bitmap->bytes());
    }
}

TEST_F(ParityLog, OfACleanArrayItIsNotReplayed) {
    log_entry();
    for (md::md_superblock& sb : superblocks_)
        sb.resync_offset = md::resync_none;
    array_members m = members();
    ASSERT_TRUE(find_parity_logs(m, false));
    EXPECT_FALSE(m.logs) << "its entries are of rows that are whole";
    EXPECT_TRUE(m.logged);
    EXPECT_TRUE(empty_logs(m).empty());
    expect_empty_logs(m);
}

// Cut off while superblocks were told of it, or while it was given up: the freshest decides.
TEST_F(ParityLog, AllSuperblocksAgreeWithTheFreshest) {
    for (uint32_t role = 1; role < 4; role++) {
        superblocks_[role].feature_map = 0;
        superblocks_[role].log_place = 0;
        superblocks_[role].resync_offset = superblocks_[0].resync_offset = md::resync_none;
        superblocks_[role].events = superblocks_[0].events - 1;
    }
    array_members taken_up = members();
    ASSERT_TRUE(find_parity_logs(taken_up, false));
    EXPECT_TRUE(taken_up.logged);
    for (const auto& member : taken_up.plan.members)
        EXPECT_TRUE(md::locate_ppl(member->superblock));
    for (uint32_t role = 1; role < 4; role++)
        superblocks_[role].events = superblocks_[0].events + 1;
    array_members given_up = members();
    ASSERT_TRUE(find_parity_logs(given_up, false));
    EXPECT_FALSE(given_up.logged);
    for (const auto& member : given_up.plan.members)
        EXPECT_EQ(member->superblock.feature_map, 0U);
}

// As above, with a member missing: no bitmap takes its place, and no superblock may tell of a log.
TEST_F(ParityLog, WhatIsGivenUpWithoutAMemberIsToldOfNowhere) {
    superblocks_[1].log_place = 8 | 128 << 16;
    superblocks_[2].feature_map = 0;
    superblocks_[2].log_place = 0;
    for (md::md_superblock& sb : superblocks_)
        sb.resync_offset = md::resync_none;
    superblocks_[0].events++;
    array_members m = members(3);
    ASSERT_TRUE(find_parity_logs(m, false));
    EXPECT_FALSE(m.logged);
    EXPECT_FALSE(m.bitmap);
    write_clean(m);
    for (uint32_t role = 0; role < 3; role++) {
        EXPECT_EQ(superblocks_[role].feature_map, 0U) << role;
        EXPECT_EQ(superblocks_[role].log_place, 0) << role;
    }
}

TEST_F(ParityLog, WhoTakesNoEmptyLogIsTold) {
    array_members m = members();
    ASSERT_TRUE(find_parity_logs(m, false));
    m.devices[2]->fd = open_file(paths_[2], O_RDONLY);
    const auto failed = empty_logs(m);
    ASSERT_EQ(failed.size(), 1U);
    EXPECT_EQ(failed[0].role, 2U);
    EXPECT_TRUE(empty_logs(m, 1U << 2).empty()) << "it is out";
}

// Of parity's member and of another one; and where one more takes none, or parity is not known
// to be right, the array does not start.
TEST_F(ParityLog, OneThatTakesNoWritesIsDoneWithout) {
    for (const uint32_t unwell : {3U, 0U}) {
        log_entry();
        array_members m = members();
        ASSERT_TRUE(find_parity_logs(m, false));
        takes_no_writes(m, unwell);
        const auto done = recover_from_logs(m, 1);
        ASSERT_TRUE(done) << done.error().what;
        EXPECT_TRUE(done->parity_right);
        ASSERT_TRUE(done->without);
        EXPECT_EQ(done->without->role, unwell);
        EXPECT_EQ(get(3, data(), 4096), std::vector<uint8_t>(4096, unwell == 3 ? 0 : 0x5a));
    }
    log_entry();
    array_members two = members();
    ASSERT_TRUE(find_parity_logs(two, false));
    takes_no_writes(two, 3);
    takes_no_writes(two, 0);
    EXPECT_FALSE(recover_from_logs(two, 1));

    log_entry(true);
    array_members unknown = members();
    ASSERT_TRUE(find_parity_logs(unknown, false));
    takes_no_writes(unknown, 0);
    const auto refused = recover_from_logs(unknown, 1);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().err, EBADF);
    EXPECT_NE(refused.error().what.find(paths_[0]), std::string::npos);
}

TEST_F(ParityLog, WithoutEntriesParityIsRecomputed) {
    array_members m = members();
    ASSERT_TRUE(find_parity_logs(m, false));
    EXPECT_FALSE(recover_from_logs(m, 1)->parity_right);
}

// The writer had begun anew, and the next unit was not there yet.
TEST_F(ParityLog, BetweenTwoPassesParityIsRight) {
    put(1, 16, md::build_ppl_unit(superblocks_[0].set_uuid, 9, {}));
    array_members m = members();
    ASSERT_TRUE(find_parity_logs(m, false));
    EXPECT_TRUE(recover_from_logs(m, 1)->parity_right);
}

TEST_F(ParityLog, WithATornEntryParityIsRecomputed) {
    log_entry(true);
    array_members m = members();
    ASSERT_TRUE(find_parity_logs(m, false));
    const auto done = recover_from_logs(m, 1);
    EXPECT_FALSE(done->parity_right);
    EXPECT_EQ(done->replayed.torn, 1U);
}

TEST_F(ParityLog, AResyncThatWasCutOffIsNoticed) {
    log_entry();
    put(0, data() + superblocks_[0].size - 8, std::vector<uint8_t>(512, 1));
    array_members m = members();
    ASSERT_TRUE(find_parity_logs(m, false));
    const auto done = recover_from_logs(m, 1);
    EXPECT_FALSE(done->parity_right);
    EXPECT_NE(done->wrong, 0U);
}

TEST_F(ParityLog, OneThatCannotBeBelievedIsNotFollowed) {
    log_entry(false, 384);  // of another stripe
    array_members m = members();
    ASSERT_TRUE(find_parity_logs(m, false));
    EXPECT_FALSE(m.logs->sound);
    const auto done = recover_from_logs(m, 1);
    EXPECT_FALSE(done->parity_right);
    EXPECT_EQ(done->replayed.sectors, 0U);

    log_entry(false, 384);
    array_members degraded = members(1);
    const Status refused = find_parity_logs(degraded, false);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().err, EBADMSG);
    EXPECT_NE(refused.error().hint.find("force"), std::string::npos);
    ASSERT_TRUE(find_parity_logs(degraded, true));
    EXPECT_TRUE(degraded.plan.forced) << "it does not become clean";
}

TEST_F(ParityLog, WhatWasInFlightOfAMissingMemberIsNamed) {
    log_entry();
    array_members m = members(1);
    ASSERT_TRUE(find_parity_logs(m, false));
    EXPECT_FALSE(m.bitmap);
    const auto done = recover_from_logs(m, 1);
    ASSERT_TRUE(done);
    ASSERT_EQ(done->replayed.lost.size(), 1U);
    EXPECT_EQ(done->replayed.lost[0], (lost_blocks{128, 8, 1}));
    const auto lines = recovery_lines(*done);
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_NE(lines[1].find("sectors 128 to 135"), std::string::npos);
    EXPECT_EQ(describe_recovery(*done)["lost"][0]["sector"], 128);
}

TEST_F(ParityLog, OfADegradedArrayItIsKeptWhileABlockCannotBeRead) {
    log_entry();
    std::filesystem::resize_file(paths_[1], data() * 512);
    for (const bool force : {false, true}) {
        array_members m = members(0);
        ASSERT_TRUE(find_parity_logs(m, force));
        EXPECT_EQ(recover_from_logs(m, 1).has_value(), force);
        auto left =
            md::read_ppl(open_file(paths_[3]).get(), superblocks_[3], m.plan.geometry, 3, 512);
        ASSERT_TRUE(left && *left);
        EXPECT_EQ((*left)->entries.size(), force ? 0U : 1U);
    }
}

TEST_F(ParityLog, ItsOwnParityMemberMissingNothingIsLost) {
    log_entry();
    array_members m = members(3);
    ASSERT_TRUE(find_parity_logs(m, false));
    const auto done = recover_from_logs(m, 1);
    ASSERT_TRUE(done);
    EXPECT_TRUE(done->replayed.lost.empty());
    EXPECT_FALSE(m.plan.forced);
}

}  // namespace
}  // namespace rr::test
