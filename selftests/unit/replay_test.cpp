// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Rows that a crash cut off, and what a replay makes of them: random writes by a dumb writer
// of md's order, cut anywhere; then every block that nobody wrote can be computed.
#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <list>
#include <random>

#include "base/io.h"
#include "md_helpers.h"
#include "resync/replay.h"

namespace rr::test {
namespace {

using bytes = std::vector<uint8_t>;
constexpr md::uuid id{7};
constexpr uint32_t stripes = 12;
constexpr uint64_t data_offset = 2064;

struct shape_case {
    uint32_t members;
    uint32_t chunk_shift;
    uint32_t layout;
};

// An array in memory, whose members' files are written from it.
class Replay : public testing::TestWithParam<shape_case> {
protected:
    void SetUp() override {
        const auto [members, shift, layout] = GetParam();
        g_ = {members, shift, layout};
        chunk_ = size_t{512} << shift;
        for (uint32_t role = 0; role < members; role++) {
            disks_.emplace_back(chunk_ * stripes);
            logs_.emplace_back();
        }
        for (uint32_t stripe = 0; stripe < stripes; stripe++) {
            const uint32_t parity = rr_parity_member(&g_, stripe);
            for (uint32_t index = 0; index + 1 < members; index++) {
                uint8_t* to = block(rr_data_member(&g_, parity, index), stripe, 0);
                std::generate_n(to, chunk_, [this] { return static_cast<uint8_t>(random_()); });
            }
            for (size_t at = 0; at < chunk_; at++)
                *block(parity, stripe, at) = sum(stripe, at, parity);
        }
    }

    uint8_t* block(uint32_t role, uint64_t stripe, size_t at) {
        return disks_[role].data() + stripe * chunk_ + at;
    }
    // XOR of all but @without.
    uint8_t sum(uint64_t stripe, size_t at, uint32_t without) {
        uint8_t out = 0;
        for (uint32_t role = 0; role < g_.members; role++)
            out ^= role == without ? 0 : *block(role, stripe, at);
        return out;
    }

    struct a_write {
        uint32_t stripe, index, disks;
        size_t at, size;  // bytes of each chunk
    };
    a_write random_write(uint32_t stripe) {
        a_write out{};
        const uint32_t data = g_.members - 1;
        out.stripe = stripe;
        out.disks = random_() % data + 1;
        out.index = random_() % (data - out.disks + 1);
        const size_t rows = chunk_ / 4096;
        out.size = 4096 * (random_() % rows + 1);
        out.at = 4096 * (random_() % (rows - out.size / 4096 + 1));
        return out;
    }

    // The log says it; of its blocks and parity each may have been written or not.
    void cut_off(const a_write& w) {
        const uint32_t parity = rr_parity_member(&g_, w.stripe);
        const bool full = w.disks + 1 == g_.members;
        bytes& pp = pps_.emplace_back(full ? 0 : w.size);
        std::vector<uint32_t> written;
        for (uint32_t i = 0; i < w.disks; i++)
            written.push_back(rr_data_member(&g_, parity, w.index + i));
        for (size_t at = 0; at < pp.size(); at++) {
            pp[at] = sum(w.stripe, w.at + at, parity);
            for (const uint32_t role : written)
                pp[at] ^= *block(role, w.stripe, w.at + at);
        }
        const uint64_t first = (uint64_t{w.stripe} * (g_.members - 1) + w.index) << g_.chunk_shift;
        logs_[parity].push_back(
            {first + w.at / 512, static_cast<uint32_t>(w.size * w.disks), parity, pp});
        written.push_back(parity);
        for (const uint32_t role : written) {
            for (size_t at = 0; at < w.size; at += 512) {
                if (random_() % 2 == 0)
                    continue;
                uint8_t* to = block(role, w.stripe, w.at + at);
                std::generate_n(to, 512, [this] { return static_cast<uint8_t>(random_()); });
            }
        }
    }

    void to_files() {
        for (uint32_t role = 0; role < g_.members; role++) {
            const uint64_t sectors = data_offset + chunk_ * stripes / 512;
            fds_.push_back(open_file(dir_.file(fmt::format("disk{}", role), sectors)));
            const bytes unit = md::build_ppl_unit(id, 1, logs_[role]);
            ASSERT_LE(unit.size() + 8192, data_offset * 512);
            ASSERT_TRUE(write_exact(fds_[role].get(), unit, 8192));
            ASSERT_TRUE(write_exact(fds_[role].get(), disks_[role], data_offset * 512));
        }
    }

    std::vector<replay_member> members(std::optional<uint32_t> missing = std::nullopt) {
        std::vector<replay_member> out(g_.members);
        md::md_superblock sb;
        sb.feature_map = md::feature_ppl;
        sb.log_place = 8 | 2048 << 16;
        sb.data_offset = data_offset;
        sb.set_uuid = id;
        sb.size = chunk_ * stripes / 512;
        for (uint32_t role = 0; role < g_.members; role++) {
            if (role == missing)
                continue;
            auto log = md::read_ppl(fds_[role].get(), sb, g_, role, 512);
            EXPECT_TRUE(log) << (log ? "" : log.error().what);
            out[role] = {fds_[role].get(), data_offset, sb.size, log.value()};
        }
        return out;
    }
    void from_files() {
        for (uint32_t role = 0; role < g_.members; role++)
            ASSERT_TRUE(read_exact(fds_[role].get(), disks_[role], data_offset * 512));
    }
    size_t wrong_bytes() {
        size_t out = 0;
        for (uint32_t stripe = 0; stripe < stripes; stripe++) {
            for (size_t at = 0; at < chunk_; at++)
                out += sum(stripe, at, ~0U) != 0;
        }
        return out;
    }

    std::mt19937 random_{42};
    rr_geometry g_{};
    size_t chunk_ = 0;
    std::vector<bytes> disks_;
    std::list<bytes> pps_;
    std::vector<std::vector<md::new_ppl_entry>> logs_;
    scratch_dir dir_;
    std::vector<Fd> fds_;
};

TEST_P(Replay, MakesParityRight) {
    for (uint32_t stripe = 0; stripe < stripes; stripe++)
        cut_off(random_write(stripe));
    EXPECT_NE(wrong_bytes(), 0U) << "the hole is there";
    to_files();
    const auto before = disks_;
    for (int again = 0; again < 2; again++) {
        const auto done = replay(g_, members());
        EXPECT_TRUE(done.refused.empty());
        EXPECT_EQ(done.entries, stripes);
        EXPECT_EQ(done.torn, 0U);
        EXPECT_TRUE(done.lost.empty());
        EXPECT_NE(done.sectors, 0U);
        from_files();
        EXPECT_EQ(wrong_bytes(), 0U);
    }
    for (uint32_t stripe = 0; stripe < stripes; stripe++) {
        for (uint32_t role = 0; role < g_.members; role++) {
            if (role != rr_parity_member(&g_, stripe)) {
                EXPECT_EQ(0, std::memcmp(block(role, stripe, 0),
                                         before[role].data() + stripe * chunk_, chunk_))
                    << "data was written";
            }
        }
    }
}

// What was on it, and was not being written, is computed as it was.
TEST_P(Replay, WithAMemberMissingIdleBlocksAreThere) {
    const uint32_t missing = 1;
    std::vector<a_write> writes;
    const auto whole = disks_;
    for (uint32_t stripe = 0; stripe < stripes; stripe++) {
        writes.push_back(random_write(stripe));
        cut_off(writes.back());
    }
    to_files();
    const auto done = replay(g_, members(missing));
    EXPECT_TRUE(done.refused.empty());
    from_files();
    std::vector<lost_blocks> lost;
    for (uint32_t stripe = 0; stripe < stripes; stripe++) {
        const uint32_t parity = rr_parity_member(&g_, stripe);
        if (parity == missing)
            continue;
        const a_write& w = writes[stripe];
        const uint32_t index = rr_data_index(&g_, parity, missing);
        const bool in_flight = index >= w.index && index < w.index + w.disks;
        for (size_t at = 0; at < chunk_; at++) {
            if (in_flight && at >= w.at && at < w.at + w.size)
                continue;
            ASSERT_EQ(sum(stripe, at, missing), whole[missing][stripe * chunk_ + at])
                << "stripe " << stripe << " byte " << at;
        }
        if (in_flight)
            lost.push_back(
                {((uint64_t{stripe} * (g_.members - 1) + index) << g_.chunk_shift) + w.at / 512,
                 w.size / 512, missing});
    }
    auto told = done.lost;
    const auto by_place = [](const auto& a, const auto& b) { return a.sector < b.sector; };
    std::ranges::sort(told, by_place);
    std::ranges::sort(lost, by_place);
    EXPECT_EQ(told, lost);
}

// As missing from there on: rows in the middle of which it ends are done in part.
TEST_P(Replay, AMemberThatIsBeingFilledIsThereInPart) {
    a_write w{0, 0, g_.members - 2, 0, chunk_};
    cut_off(w);
    to_files();
    auto all = members();
    const uint32_t parity = rr_parity_member(&g_, 0);
    const uint32_t half = rr_data_member(&g_, parity, 0);
    all[half].sectors = chunk_ / 1024;
    const auto done = replay(g_, all);
    EXPECT_TRUE(done.refused.empty());
    from_files();
    for (size_t at = 0; at < chunk_ / 2; at++)
        ASSERT_EQ(sum(0, at, ~0U), 0) << at;
    ASSERT_EQ(done.lost.size(), 1U);
    EXPECT_EQ(done.lost[0], (lost_blocks{chunk_ / 1024, chunk_ / 1024, half}));
    EXPECT_EQ(done.sectors, chunk_ / 1024);
}

TEST_P(Replay, ATornEntryWasNotBegun) {
    cut_off(random_write(0));
    to_files();
    auto all = members();
    for (replay_member& member : all) {
        for (md::ppl_entry& entry : member.log->entries)
            entry.torn = true;
    }
    const auto done = replay(g_, all);
    EXPECT_TRUE(done.refused.empty());
    EXPECT_EQ(done.torn, 1U);
    EXPECT_EQ(done.sectors, 0U);
    const auto before = disks_;
    from_files();
    EXPECT_EQ(before, disks_);
}

// It gets no parity, and all others do.
TEST_P(Replay, OneThatTakesNoWritesIsTold) {
    for (uint32_t stripe = 0; stripe < stripes; stripe++)
        cut_off(random_write(stripe));
    to_files();
    const uint32_t unwell = 1;
    auto all = members();
    const Fd no_writes(
        ::open(fmt::format("/proc/self/fd/{}", all[unwell].fd).c_str(), O_RDONLY | O_CLOEXEC));
    all[unwell].fd = no_writes.get();
    const auto done = replay(g_, all);
    ASSERT_EQ(done.refused.size(), 1U);
    EXPECT_EQ(done.refused[0].role, unwell);
    EXPECT_EQ(done.refused[0].error.err, EBADF);
    EXPECT_EQ(done.entries, stripes);
    const auto before = disks_;
    from_files();
    EXPECT_EQ(before[unwell], disks_[unwell]);
    for (uint32_t stripe = 0; stripe < stripes; stripe++) {
        for (size_t at = 0; rr_parity_member(&g_, stripe) != unwell && at < chunk_; at++)
            ASSERT_EQ(sum(stripe, at, ~0U), 0) << "stripe " << stripe << " byte " << at;
    }
}

INSTANTIATE_TEST_SUITE_P(Of, Replay,
                         testing::Values(shape_case{3, 3, RR_LEFT_SYMMETRIC},
                                         shape_case{4, 5, RR_LEFT_SYMMETRIC},
                                         shape_case{5, 5, RR_LEFT_ASYMMETRIC},
                                         shape_case{6, 5, RR_RIGHT_SYMMETRIC},
                                         shape_case{5, 4, RR_RIGHT_ASYMMETRIC}),
                         [](const auto& p) {
                             return fmt::format("Members{}Chunk{}Layout{}", p.param.members,
                                                1 << p.param.chunk_shift, p.param.layout);
                         });

}  // namespace
}  // namespace rr::test
