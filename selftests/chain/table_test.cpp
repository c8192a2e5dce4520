// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Hash tables against a map, scans against a loop over the rows, both with damage.
#include "chain/table_build.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "chain/chain_steps.h"
#include "helpers.h"

namespace rr::chained {
namespace {

page_sink into(bytes& file) {
    return [&file](uint64_t offset, const bytes& page) -> Status {
        file.resize(std::max<size_t>(file.size(), offset + page.size()));
        std::copy(page.begin(), page.end(), file.begin() + static_cast<std::ptrdiff_t>(offset));
        return {};
    };
}

class Hash : public ::testing::Test {
protected:
    bytes build(unsigned count, unsigned page_bytes, unsigned buckets) {
        while (all_.size() < count)
            all_["key" + std::to_string(rng_() % (4 * count))] = std::string(rng_() % 50, 'v');
        bytes file;
        auto at = all_.begin();
        auto written = hash_write(
            0, page_bytes, buckets,
            [&]() -> std::optional<cell> {
                if (at == all_.end())
                    return {};
                return cell(*at++);
            },
            into(file));
        EXPECT_TRUE(written);
        EXPECT_EQ(*written, file.size());
        return file;
    }

    static chain_hash_query query(const std::string& key, uint8_t flags = CHAIN_HASH_CHECK) {
        chain_hash_query q{};
        q.flags = flags;
        q.key_bytes = static_cast<uint8_t>(key.size());
        std::memcpy(q.key, key.data(), key.size());
        return q;
    }

    std::mt19937 rng_{seed};
    std::map<std::string, std::string> all_;
};

TEST_F(Hash, LooksUpEveryKey) {
    for (const unsigned buckets : {1U, 2U, 7U, 64U, 500U}) {
        all_.clear();
        const bytes file = build(400, 512, buckets);
        for (int i = 0; i < 2000; i++) {
            const std::string key = "key" + std::to_string(i);
            const answer a = run_query(RR_CHAIN_HASH, file, 0, 512, query(key));
            ASSERT_EQ(a.error, 0);
            const auto found = all_.find(key);
            ASSERT_EQ(query_of<chain_hash_query>(a).found, found != all_.end());
            if (found != all_.end())
                ASSERT_EQ(std::string(a.out.begin(), a.out.end()), found->second);
        }
    }
}

TEST_F(Hash, DamageIsAnErrorAndNoAnswer) {
    const bytes good = build(300, 512, 4);
    unsigned seen = 0;
    for (unsigned round = 0; round < rounds(5000); round++) {
        bytes file = good;
        file[rng_() % file.size()] ^= static_cast<uint8_t>(1 + rng_() % 255);
        const auto& [key, value] = *std::next(all_.begin(), rng_() % all_.size());
        const answer a = run_query(RR_CHAIN_HASH, file, 0, 512, query(key));
        seen += a.error != 0;
        if (a.error == 0)
            ASSERT_EQ(std::string(a.out.begin(), a.out.end()), value);
        else
            ASSERT_EQ(a.error, -EILSEQ);
    }
    EXPECT_GT(seen, 10U);
}

TEST_F(Hash, DamageWithoutChecksumsEnds) {
    const bytes good = build(300, 512, 4);
    for (unsigned round = 0; round < rounds(20000); round++) {
        bytes file = good;
        for (unsigned n = 1 + rng_() % 6; n > 0; n--) {
            const uint32_t word = rng_() % 2 == 0 ? rng_() % 600 : rng_();
            std::memcpy(&file[rng_() % (file.size() - 4)], &word, rng_() % 2 == 0 ? 2 : 4);
        }
        const auto& key = std::next(all_.begin(), rng_() % all_.size())->first;
        ASSERT_NE(run_query(RR_CHAIN_HASH, file, 0, 512, query(key, 0)).error, -ELOOP);
    }
}

TEST_F(Hash, CircleOfPages) {
    bytes file = build(200, 512, 1);
    // The bucket's second page leads to the first: the third hop is in another place.
    chain_hash_page page;
    std::memcpy(&page, &file[512], sizeof(page));
    ASSERT_NE(page.next, 0U);
    const uint64_t back = 512;
    std::memcpy(&file[page.next + offsetof(chain_hash_page, next)], &back, 8);
    EXPECT_EQ(run_query(RR_CHAIN_HASH, file, 0, 512, query("none", 0)).error, -EUCLEAN);
}

struct row {
    uint32_t id;
    int16_t temperature;
    uint8_t kind;
    uint8_t flags;
    int64_t amount;
} __attribute__((packed));

class Scan : public ::testing::Test {
protected:
    void make(unsigned count, unsigned page_bytes) {
        page_bytes_ = page_bytes;
        rows_.resize(count);
        for (unsigned i = 0; i < count; i++)
            rows_[i] = {i, static_cast<int16_t>(rng_()), static_cast<uint8_t>(rng_() % 5),
                        static_cast<uint8_t>(rng_()),
                        static_cast<int64_t>(rng_()) - static_cast<int64_t>(rng_())};
        file_.clear();
        ASSERT_TRUE(
            rows_write(0, page_bytes,
                       {reinterpret_cast<const uint8_t*>(rows_.data()), rows_.size() * sizeof(row)},
                       sizeof(row), into(file_)));
    }

    chain_scan_query query() {
        chain_scan_query q{};
        q.end = file_.size();
        q.flags = CHAIN_SCAN_CHECK;
        return q;
    }

    answer run(const chain_scan_query& q, uint32_t out_bytes = 4096) {
        return run_query(RR_CHAIN_SCAN, file_, 0, page_bytes_, q, out_bytes);
    }

    static constexpr chain_number amount(chain_scan_op op = CHAIN_SCAN_EQ, int64_t value = 0) {
        return {offsetof(row, amount),  8,  1,
                static_cast<rr_u8>(op), {}, static_cast<rr_u64>(value)};
    }
    static constexpr chain_number temperature(chain_scan_op op, int value) {
        return {offsetof(row, temperature), 2,  1,
                static_cast<rr_u8>(op),     {}, static_cast<rr_u64>(static_cast<int64_t>(value))};
    }
    static constexpr chain_number kind(chain_scan_op op, unsigned value) {
        return {offsetof(row, kind), 1, 0, static_cast<rr_u8>(op), {}, value};
    }

    std::mt19937 rng_{seed};
    std::vector<row> rows_;
    bytes file_;
    unsigned page_bytes_ = 0;
};

bool meets(int64_t v, unsigned op, int64_t w) {
    switch (op) {
        case CHAIN_SCAN_EQ:
            return v == w;
        case CHAIN_SCAN_NE:
            return v != w;
        case CHAIN_SCAN_LT:
            return v < w;
        case CHAIN_SCAN_LE:
            return v <= w;
        case CHAIN_SCAN_GT:
            return v > w;
        case CHAIN_SCAN_GE:
            return v >= w;
        default:
            return (v & w) == w;
    }
}

TEST_F(Scan, AggregatesAsALoopDoes) {
    for (unsigned round = 0; round < rounds(60); round++) {
        make(rng_() % 600, 512);
        chain_scan_query q = query();
        const auto op1 = static_cast<chain_scan_op>(rng_() % 7);
        const auto op2 = static_cast<chain_scan_op>(rng_() % 6);
        const int t = static_cast<int16_t>(rng_());
        const unsigned k = rng_() % 5;
        q.condition[0] = kind(op1, k);
        q.condition[1] = temperature(op2, t);
        q.number = amount();
        q.top_most = static_cast<rr_u8>(1 + rng_() % 33);
        std::vector<int64_t> want;
        for (const row& r : rows_)
            if (meets(r.kind, op1, k) && meets(r.temperature, op2, t))
                want.push_back(r.amount);
        const answer a = run(q);
        ASSERT_EQ(a.error, 0);
        const auto got = query_of<chain_scan_query>(a);
        ASSERT_EQ(got.rows, rows_.size());
        ASSERT_EQ(got.count, want.size());
        uint64_t sum = 0;
        for (const int64_t v : want)
            sum += static_cast<uint64_t>(v);
        ASSERT_EQ(got.sum, sum);
        std::sort(want.rbegin(), want.rend());
        if (!want.empty()) {
            ASSERT_EQ(static_cast<int64_t>(got.max), want.front());
            ASSERT_EQ(static_cast<int64_t>(got.min), want.back());
        }
        want.resize(std::min<size_t>({want.size(), q.top_most, CHAIN_SCAN_TOP}));
        ASSERT_EQ(got.top_count, want.size());
        ASSERT_EQ(std::vector<int64_t>(got.top, got.top + got.top_count), want);
    }
}

TEST_F(Scan, ProjectsAndGoesOnWhereTheOutputWasFull) {
    make(500, 1024);
    chain_scan_query q = query();
    q.condition[0] = kind(CHAIN_SCAN_GE, 2);
    q.column[0] = {offsetof(row, id), 4};
    q.column[1] = {offsetof(row, amount), 8};
    bytes got, want;
    uint64_t from = 0;
    for (const row& r : rows_)
        if (r.kind >= 2) {
            const auto* p = reinterpret_cast<const uint8_t*>(&r);
            want.insert(want.end(), p, p + 4);
            want.insert(want.end(), p + offsetof(row, amount), p + sizeof(row));
        }
    for (;;) {
        const answer a = run_query(RR_CHAIN_SCAN, file_, from, 1024, q, 1500);
        ASSERT_EQ(a.error, 0);
        got.insert(got.end(), a.out.begin(), a.out.end());
        const auto after = query_of<chain_scan_query>(a);
        if (after.more == 0)
            break;
        ASSERT_GT(after.next, from);
        from = after.next;
    }
    EXPECT_EQ(got, want);
    EXPECT_EQ(run(q, 20).error, -ENOSPC);
}

TEST_F(Scan, RefusesWhatIsNotInTheRow) {
    make(100, 512);
    chain_scan_query q = query();
    q.number = {sizeof(row) - 7, 8, 0, 0, {}, 0};
    EXPECT_EQ(run(q).error, -EUCLEAN);
    q = query();
    q.condition[0] = {0, 3, 0, 0, {}, 0};
    EXPECT_EQ(run(q).error, -EUCLEAN);
    q = query();
    q.column[0] = {sizeof(row) - 1, 2};
    EXPECT_EQ(run(q).error, -EUCLEAN);
}

TEST_F(Scan, DamageIsAnErrorAndNoAnswer) {
    make(300, 512);
    chain_scan_query q = query();
    q.number = amount();
    const auto right = query_of<chain_scan_query>(run(q));
    const bytes good = file_;
    for (unsigned round = 0; round < rounds(3000); round++) {
        file_ = good;
        file_[rng_() % file_.size()] ^= static_cast<uint8_t>(1 + rng_() % 255);
        const answer a = run(q);
        ASSERT_EQ(a.error, -EILSEQ);
        chain_scan_query blind = q;
        blind.flags = 0;
        ASSERT_NE(run(blind).error, -ELOOP);
    }
    file_ = good;
    EXPECT_EQ(query_of<chain_scan_query>(run(q)).sum, right.sum);
}

}  // namespace
}  // namespace rr::chained
