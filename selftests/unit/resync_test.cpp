// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Resync against a dumb reference, byte by byte, over layouts, members, chunks
// and batch sizes, on sparse files; then errors, cancelling and zeroing.
#include <cstring>
#include <random>

#include "md_helpers.h"
#include "resync/resync.h"
#include "resync/zeroes.h"

namespace rr::test {
namespace {

constexpr uint64_t data_offset = 64;  // sectors; differs by role, see below

using bytes = std::vector<uint8_t>;

// N files of `stripes` chunks each behind a data offset of their own.
class array_files {
public:
    array_files(rr_geometry g, uint64_t stripes, uint32_t seed) : g_(g), stripes_(stripes) {
        std::mt19937_64 random(seed);
        for (uint32_t role = 0; role < g.members; role++) {
            const uint64_t start = data_offset + 8 * role;
            const std::string path =
                dir_.file(fmt::format("m{}", role), start + (stripes << g.chunk_shift) + 8);
            fds_.push_back(open_file(path));
            paths_.push_back(path);
            members_.push_back({fds_.back().get(), start});
            bytes content(file_bytes(role));
            for (size_t at = 0; at < content.size(); at += 8) {
                const uint64_t value = random();
                std::memcpy(content.data() + at, &value, 8);
            }
            write(role, content);
        }
    }

    [[nodiscard]] size_t file_bytes(uint32_t role) const {
        return std::filesystem::file_size(paths_[role]);
    }
    [[nodiscard]] bytes read(uint32_t role) const {
        bytes content(file_bytes(role));
        EXPECT_EQ(::pread(fds_[role].get(), content.data(), content.size(), 0),
                  static_cast<ssize_t>(content.size()));
        return content;
    }
    void write(uint32_t role, const bytes& content) const {
        EXPECT_EQ(::pwrite(fds_[role].get(), content.data(), content.size(), 0),
                  static_cast<ssize_t>(content.size()));
    }
    [[nodiscard]] std::vector<bytes> read_all() const {
        std::vector<bytes> all;
        for (uint32_t role = 0; role < g_.members; role++)
            all.push_back(read(role));
        return all;
    }
    void cut(uint32_t role, uint64_t sector) const {
        std::filesystem::resize_file(paths_[role], sector * 512);
    }
    void replace_fd(uint32_t role, Fd fd) {
        fds_[role] = std::move(fd);
        members_[role].fd = fds_[role].get();
    }

    // Where byte @at of @stripe's chunk is in the file of @role.
    [[nodiscard]] size_t place(uint32_t role, uint64_t stripe, size_t at = 0) const {
        return members_[role].data_offset * 512 + (stripe * 512 << g_.chunk_shift) + at;
    }
    [[nodiscard]] size_t chunk_bytes() const { return size_t{512} << g_.chunk_shift; }

    // The reference: parity moves by one member a stripe, to the left or right.
    [[nodiscard]] uint32_t reference_parity(uint64_t stripe) const {
        uint32_t parity = g_.layout % 2 == 1 ? 0 : g_.members - 1;
        for (uint64_t i = 0; i < stripe; i++)
            parity = (parity + (g_.layout % 2 == 1 ? 1 : g_.members - 1)) % g_.members;
        return parity;
    }
    void reference_repair(std::vector<bytes>& files, uint64_t first, uint64_t count) const {
        for (uint64_t stripe = first; stripe < first + count; stripe++) {
            const uint32_t parity = reference_parity(stripe);
            for (size_t at = 0; at < chunk_bytes(); at++) {
                uint8_t sum = 0;
                for (uint32_t role = 0; role < g_.members; role++) {
                    if (role != parity)
                        sum = static_cast<uint8_t>(sum ^ files[role][place(role, stripe, at)]);
                }
                files[parity][place(parity, stripe, at)] = sum;
            }
        }
    }

    auto run(const resync_options& options) const { return resync(g_, members_, options); }

    rr_geometry g_;
    uint64_t stripes_;
    scratch_dir dir_;
    std::vector<std::string> paths_;
    std::vector<Fd> fds_;
    std::vector<resync_member> members_;
};

resync_options all_of(const array_files& files, resync_mode mode = resync_mode::repair) {
    resync_options options;
    options.mode = mode;
    options.stripes = files.stripes_;
    options.batch_bytes = 3 * files.chunk_bytes();
    return options;
}

class Resync : public testing::TestWithParam<std::tuple<uint32_t, uint32_t, uint32_t>> {};

TEST_P(Resync, WritesTheParityOfTheReferenceAndNothingElse) {
    const auto [members, chunk_shift, layout] = GetParam();
    const uint64_t stripes = chunk_shift > 8 ? 5 : 2 * members + 3;
    const array_files files({members, chunk_shift, layout}, stripes, members * 1000 + chunk_shift);
    auto expected = files.read_all();
    files.reference_repair(expected, 0, stripes);
    const auto report = files.run(all_of(files));
    ASSERT_TRUE(report) << describe(report.error().error);
    EXPECT_EQ(report->stripes_done, stripes);
    EXPECT_EQ(report->stripes_mismatched, stripes);
    EXPECT_EQ(report->sectors_mismatched, stripes << chunk_shift);
    EXPECT_TRUE(files.read_all() == expected);
    const auto again = files.run(all_of(files, resync_mode::check));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->stripes_mismatched, 0U);
}

INSTANTIATE_TEST_SUITE_P(All, Resync,
                         testing::Combine(testing::Values(3U, 4U, 5U, 16U),
                                          testing::Values(3U, 7U, 11U), testing::Range(0U, 4U)));

class ResyncOne : public testing::Test {
protected:
    ResyncOne() {
        auto sound = files_.read_all();
        files_.reference_repair(sound, 0, 10);
        for (uint32_t role = 0; role < 4; role++)
            files_.write(role, sound[role]);
    }
    void flip(uint32_t role, uint64_t stripe, size_t at) const {
        auto content = files_.read(role);
        content[files_.place(role, stripe, at)] ^= 1;
        files_.write(role, content);
    }
    array_files files_{{4, 5, RR_LEFT_SYMMETRIC}, 10, 7};
};

TEST_F(ResyncOne, CheckCountsAndWritesNothing) {
    flip(0, 1, 0);
    flip(0, 1, 600);                            // another sector of the same stripe
    flip(3, 9, files_.chunk_bytes() - 1);       // the last byte of all
    flip(files_.reference_parity(5), 5, 4096);  // parity itself
    const auto before = files_.read_all();
    const auto report = files_.run(all_of(files_, resync_mode::check));
    ASSERT_TRUE(report);
    EXPECT_EQ(report->stripes_mismatched, 3U);
    EXPECT_EQ(report->sectors_mismatched, 4U);
    EXPECT_EQ(report->stripes_done, 10U);
    EXPECT_TRUE(files_.read_all() == before);
}

TEST_F(ResyncOne, RepairKeepsToItsRange) {
    for (uint64_t stripe = 0; stripe < 10; stripe++)
        flip(1, stripe, 17);
    auto expected = files_.read_all();
    files_.reference_repair(expected, 3, 4);
    resync_options options = all_of(files_);
    options.first_stripe = 3;
    options.stripes = 4;
    const auto report = files_.run(options);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->stripes_mismatched, 4U);
    EXPECT_TRUE(files_.read_all() == expected);
}

TEST_F(ResyncOne, BatchSizeDoesNotMatter) {
    for (const size_t batch : {size_t{1}, files_.chunk_bytes() * 4, size_t{1} << 24}) {
        flip(2, 0, 1);
        flip(2, 9, 1);
        resync_options options = all_of(files_);
        options.batch_bytes = batch;
        const auto report = files_.run(options);
        ASSERT_TRUE(report);
        EXPECT_EQ(report->stripes_mismatched, 2U);
    }
}

TEST_F(ResyncOne, ProgressEndsAtAllAndCancelStopsBetweenBatches) {
    std::atomic<bool> cancel = false;
    std::vector<uint64_t> seen;
    resync_options options = all_of(files_);
    options.cancel = &cancel;
    options.progress = [&](uint64_t done, uint64_t total) {
        EXPECT_EQ(total, 10 * files_.chunk_bytes());
        seen.push_back(done / files_.chunk_bytes());
    };
    ASSERT_TRUE(files_.run(options));
    EXPECT_EQ(seen, (std::vector<uint64_t>{3, 6, 9, 10}));
    options.progress = [&](uint64_t done, uint64_t) { cancel = done >= 6 * files_.chunk_bytes(); };
    const auto report = files_.run(options);
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->cancelled);
    EXPECT_EQ(report->stripes_done, 6U);
}

// A file that ends early stands for a medium with unreadable sectors.
TEST_F(ResyncOne, DataThatCannotBeReadIsNamedToTheSector) {
    const uint32_t role = (files_.reference_parity(9) + 1) % 4;
    const uint64_t start = files_.place(role, 9) / 512;
    files_.cut(role, start + 16);
    flip(role, 8, 3);  // in the same batch, before
    resync_options options = all_of(files_);
    options.batch_bytes = 2 * files_.chunk_bytes();
    const auto report = files_.run(options);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().role, role);
    EXPECT_EQ(report.error().sector, start + 16);
    EXPECT_FALSE(report.error().write);
    EXPECT_EQ(report.error().done.stripes_done, 8U);
    EXPECT_EQ(report.error().error.err, ENODATA);
}

TEST_F(ResyncOne, DataThatCannotBeReadIsRebuiltWhenParityIsTrusted) {
    const uint32_t role = (files_.reference_parity(9) + 1) % 4;
    const auto expected = files_.read(role);
    files_.cut(role, files_.place(role, 9) / 512 + 16);
    flip(files_.reference_parity(8), 8, 3);  // in the same batch
    resync_options options = all_of(files_);
    options.batch_bytes = 2 * files_.chunk_bytes();
    options.trust_parity = true;
    const auto report = files_.run(options);
    ASSERT_TRUE(report) << describe(report.error().error);
    EXPECT_EQ(report->rows_rebuilt, files_.chunk_bytes() / 4096 - 2);
    EXPECT_EQ(report->stripes_mismatched, 1U);
    const auto after = files_.read(role);
    const size_t end = files_.place(role, 9) + files_.chunk_bytes();
    ASSERT_GE(after.size(), end);
    EXPECT_EQ(std::memcmp(after.data(), expected.data(), end), 0);
    EXPECT_EQ(files_.run(all_of(files_, resync_mode::check))->stripes_mismatched, 0U);
}

TEST_F(ResyncOne, TwoMembersThatCannotBeReadEndTheRunHoweverItIsTold) {
    const uint32_t role = (files_.reference_parity(9) + 1) % 4;
    const uint32_t other = (role + 1) % 4;
    files_.cut(role, files_.place(role, 9) / 512);
    files_.cut(other, files_.place(other, 9) / 512);
    resync_options options = all_of(files_);
    options.trust_parity = true;
    const auto before = files_.read_all();
    const auto report = files_.run(options);
    ASSERT_FALSE(report);
    EXPECT_FALSE(report.error().write);
    EXPECT_TRUE(files_.read_all() == before);
}

TEST_F(ResyncOne, ParityThatCannotBeReadIsRewritten) {
    const uint32_t parity = files_.reference_parity(9);
    const auto expected = files_.read_all();
    files_.cut(parity, files_.place(parity, 9) / 512 + 8);
    // The slow path must still mend the others of its batch.
    flip((files_.reference_parity(8) + 1) % 4, 8, 5);
    resync_options options = all_of(files_);
    options.batch_bytes = 2 * files_.chunk_bytes();
    const auto report = files_.run(options);
    ASSERT_TRUE(report) << describe(report.error().error);
    EXPECT_EQ(report->stripes_mismatched, 2U);
    const auto after = files_.read(parity);
    const size_t at = files_.place(parity, 9), chunk = files_.chunk_bytes();
    ASSERT_GE(after.size(), at + chunk);
    EXPECT_EQ(std::memcmp(after.data() + at, expected[parity].data() + at, chunk), 0);
    EXPECT_EQ(files_.run(all_of(files_, resync_mode::check))->stripes_mismatched, 0U);
}

TEST_F(ResyncOne, CheckDoesNotRewriteParityThatCannotBeRead) {
    const uint32_t parity = files_.reference_parity(9);
    files_.cut(parity, files_.place(parity, 9) / 512 + 8);
    const auto before = files_.file_bytes(parity);
    const auto report = files_.run(all_of(files_, resync_mode::check));
    ASSERT_TRUE(report);
    EXPECT_EQ(report->stripes_mismatched, 1U);
    EXPECT_EQ(files_.file_bytes(parity), before);
}

TEST_F(ResyncOne, AWriteErrorNamesMemberAndSector) {
    const uint32_t parity = files_.reference_parity(4);
    flip((parity + 1) % 4, 4, 0);
    files_.replace_fd(parity, open_file(files_.paths_[parity], O_RDONLY));
    const auto report = files_.run(all_of(files_));
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().role, parity);
    EXPECT_EQ(report.error().sector, files_.place(parity, 4) / 512);
    EXPECT_TRUE(report.error().write);
    EXPECT_EQ(report.error().error.err, EBADF);
}

TEST_F(ResyncOne, ASoundArrayIsOnlyRead) {
    for (uint32_t role = 0; role < 4; role++)
        files_.replace_fd(role, open_file(files_.paths_[role], O_RDONLY));
    const auto report = files_.run(all_of(files_));
    ASSERT_TRUE(report) << describe(report.error().error);
    EXPECT_EQ(report->stripes_mismatched, 0U);
}

// --- Zeroing.

TEST_F(ResyncOne, ZeroingKeepsToTheDataArea) {
    auto expected = files_.read_all();
    const size_t area = 10 * files_.chunk_bytes();
    for (uint32_t role = 0; role < 4; role++) {
        const auto start = expected[role].begin() + static_cast<ptrdiff_t>(files_.place(role, 0));
        std::fill(start, start + static_cast<ptrdiff_t>(area), uint8_t{0});
    }
    std::vector<uint64_t> seen;
    const auto zeroed =
        zero_members(files_.members_, area / 512, [&](uint64_t done, uint64_t total) {
            EXPECT_EQ(total, area);
            seen.push_back(done);
        });
    ASSERT_TRUE(zeroed) << describe(zeroed.error().error);
    EXPECT_TRUE(files_.read_all() == expected);
    EXPECT_EQ(seen, std::vector<uint64_t>{area});
    EXPECT_EQ(files_.run(all_of(files_, resync_mode::check))->stripes_mismatched, 0U);
}

TEST_F(ResyncOne, ZeroingReportsTheMemberThatFailsAndStopsWhenCancelled) {
    files_.replace_fd(2, open_file(files_.paths_[2], O_RDONLY));
    const auto zeroed = zero_members(files_.members_, 64);
    ASSERT_FALSE(zeroed);
    EXPECT_EQ(zeroed.error().role, 2U);
    EXPECT_EQ(zeroed.error().sector, files_.members_[2].data_offset);
    EXPECT_TRUE(zeroed.error().write);
    const std::atomic<bool> cancel = true;
    const auto before = files_.read_all();
    const auto stopped = zero_members(files_.members_, 64, {}, &cancel);
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().error.err, ECANCELED);
    EXPECT_TRUE(files_.read_all() == before);
}

// One byte that is not zero, in each place that is looked at: whichever it is, it is found.
TEST_F(ResyncOne, SamplesFindWhatIsNotZero) {
    const size_t area = 10 * files_.chunk_bytes();
    ASSERT_TRUE(zero_members(files_.members_, area / 512));
    ASSERT_TRUE(sample_zeroes(files_.members_, area / 512, 7));
    for (const size_t at : {size_t{0}, area - 1}) {
        bytes content = files_.read(1);
        content[files_.place(1, 0) + at] = 1;
        files_.write(1, content);
        const auto looked = sample_zeroes(files_.members_, area / 512, 7);
        ASSERT_FALSE(looked) << at;
        EXPECT_EQ(looked.error().role, 1U);
        EXPECT_EQ(looked.error().sector, (files_.place(1, 0) + at) / 512);
        EXPECT_FALSE(looked.error().write);
        EXPECT_EQ(looked.error().error.err, EIO);
        content[files_.place(1, 0) + at] = 0;
        files_.write(1, content);
    }
}

// A device that has skipped some of it: the more, the surer it is found, by one seed or
// another, and not by each.
TEST_F(ResyncOne, SamplesByChanceReachAllPlaces) {
    const uint64_t sectors = 1 << 18;
    scratch_dir dir;
    const Fd file = open_file(dir.file("m", sectors));
    const std::vector<resync_member> one = {{file.get(), 0}};
    const uint8_t byte = 1;
    ASSERT_EQ(::pwrite(file.get(), &byte, 1, 0x1234567), 1);
    bool seen[2] = {};
    for (uint64_t seed = 0; seed < 4000 && !(seen[0] && seen[1]); seed++) {
        const auto looked = sample_zeroes(one, sectors, seed);
        seen[looked ? 1 : 0] = true;
        if (!looked) {
            EXPECT_EQ(looked.error().sector, 0x1234567U / 512);
        }
    }
    EXPECT_TRUE(seen[0] && seen[1]);
}

TEST(ResyncXor, AgreesWithOneByteAtATime) {
    std::mt19937 random(42);
    for (const size_t size : {0, 1, 7, 64, 511, 4096, 65537}) {
        bytes one(size), other(size), expected(size);
        for (size_t i = 0; i < size; i++) {
            one[i] = static_cast<uint8_t>(random());
            other[i] = static_cast<uint8_t>(random());
            expected[i] = static_cast<uint8_t>(one[i] ^ other[i]);
        }
        xor_into(one, other);
        EXPECT_TRUE(one == expected) << size;
    }
}

}  // namespace
}  // namespace rr::test
