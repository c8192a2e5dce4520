// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The B+-tree's step against a std::map, over trees of random shapes, and over
// damaged ones: never wrong, never endless, never outside of a block.
#include "chain/btree_build.h"

#include <cerrno>
#include <cstring>

#include "chain/chain_steps.h"
#include "helpers.h"

namespace rr::chained {
namespace {

using pairs = std::map<std::string, std::string>;

struct tree {
    bytes file;
    unsigned page_bytes = 0, levels = 0;
    uint64_t root = 0;
};

std::string random_key(std::mt19937& rng, unsigned most = 100) {
    // Few letters, so that keys have much in common; sometimes any byte at all.
    const unsigned letters = rng() % 8 == 0 ? 256 : 3;
    std::string key(1 + rng() % (rng() % 16 == 0 ? most : 12), '\0');
    for (char& c : key)
        c = static_cast<char>(letters == 256 ? rng() : 'a' + rng() % letters);
    return key;
}

pairs random_pairs(std::mt19937& rng, unsigned count, unsigned most = 100) {
    pairs all;
    while (all.size() < count)
        all[random_key(rng, most)] = std::string(rng() % 40, static_cast<char>('A' + rng() % 26));
    return all;
}

tree build(const pairs& all, unsigned page_bytes, unsigned most, uint64_t root) {
    tree t{{}, page_bytes, 0, root};
    auto at = all.begin();
    auto info = btree_write(
        root, page_bytes, most,
        [&]() -> std::optional<cell> {
            if (at == all.end())
                return {};
            return cell(*at++);
        },
        [&](uint64_t offset, const bytes& page) -> Status {
            t.file.resize(std::max<size_t>(t.file.size(), offset + page.size()));
            std::copy(page.begin(), page.end(),
                      t.file.begin() + static_cast<std::ptrdiff_t>(offset));
            return {};
        });
    EXPECT_TRUE(info) << info.error().what;
    if (info) {
        t.levels = info->levels;
        EXPECT_EQ(info->pairs, all.size());
        EXPECT_EQ(info->bytes, t.file.size() - root);
    }
    return t;
}

chain_btree_query query_for(chain_btree_op op, const std::string& key, const std::string& end = "",
                            uint8_t flags = CHAIN_BTREE_CHECK) {
    chain_btree_query q{};
    q.op = static_cast<uint8_t>(op);
    q.flags = flags;
    q.key_bytes = static_cast<uint8_t>(key.size());
    q.end_bytes = static_cast<uint8_t>(end.size());
    std::memcpy(q.key, key.data(), key.size());
    std::memcpy(q.end, end.data(), end.size());
    return q;
}

answer run(const tree& t, const chain_btree_query& q, uint32_t out_bytes = 1 << 16) {
    return run_query(RR_CHAIN_BTREE, t.file, t.root, t.page_bytes, q, out_bytes);
}

std::string text(const bytes& b) {
    return {b.begin(), b.end()};
}

std::vector<cell> pairs_in(const bytes& out) {
    std::vector<cell> found;
    for (size_t at = 0; at + 4 <= out.size();) {
        uint16_t sizes[2];
        std::memcpy(sizes, &out[at], sizeof(sizes));
        const char* p = reinterpret_cast<const char*>(&out[at]) + 4;
        found.emplace_back(std::string(p, sizes[0]), std::string(p + sizes[0], sizes[1]));
        at += 4U + sizes[0] + sizes[1];
    }
    return found;
}

std::vector<cell> range(const pairs& all, const std::string& from, const std::string& to) {
    auto end = to.empty() ? all.end() : all.lower_bound(to);
    if (!to.empty() && to < from)
        end = all.lower_bound(from);
    return {all.lower_bound(from), end};
}

class Btree : public ::testing::Test {
protected:
    std::mt19937 rng_{seed};
};

TEST_F(Btree, LooksUpEveryKeyOfRandomTrees) {
    for (unsigned round = 0; round < rounds(40); round++) {
        const unsigned page = 512U << rng_() % 5;
        const pairs all = random_pairs(rng_, rng_() % 400, page >= 2048 ? 255 : 100);
        const tree t = build(all, page, rng_() % 3 == 0 ? 2 + rng_() % 5 : 0, page * (rng_() % 3));
        for (const auto& [key, value] : all) {
            const answer a = run(t, query_for(CHAIN_BTREE_GET, key));
            ASSERT_EQ(a.error, 0);
            ASSERT_EQ(query_of<chain_btree_query>(a).found, 1U);
            ASSERT_EQ(text(a.out), value);
            ASSERT_EQ(a.hops, t.levels + 1);
        }
        for (int i = 0; i < 100; i++) {
            const std::string key = random_key(rng_);
            const answer a = run(t, query_for(CHAIN_BTREE_GET, key));
            ASSERT_EQ(a.error, 0);
            ASSERT_EQ(query_of<chain_btree_query>(a).found, all.count(key));
        }
    }
}

TEST_F(Btree, ScansRangesOfRandomTrees) {
    for (unsigned round = 0; round < rounds(30); round++) {
        const pairs all = random_pairs(rng_, rng_() % 300);
        const tree t = build(all, 1024, rng_() % 2 == 0 ? 3 : 0, 0);
        for (int i = 0; i < 40; i++) {
            const std::string from = random_key(rng_), to = rng_() % 3 == 0 ? "" : random_key(rng_);
            chain_btree_query q = query_for(CHAIN_BTREE_SCAN, from, to);
            std::vector<cell> want = range(all, from, to);
            q.limit = rng_() % 3 == 0 ? 1 + rng_() % 20 : 0;
            if (q.limit != 0 && want.size() > q.limit)
                want.resize(q.limit);
            const answer a = run(t, q, 1 << 18);
            ASSERT_EQ(a.error, 0);
            ASSERT_EQ(pairs_in(a.out), want) << from << " to " << to;
            ASSERT_EQ(query_of<chain_btree_query>(a).found, want.size());
        }
    }
}

TEST_F(Btree, ScansPrefixes) {
    const pairs all = random_pairs(rng_, 500);
    const tree t = build(all, 1024, 0, 0);
    for (int i = 0; i < 200; i++) {
        const std::string prefix = random_key(rng_).substr(0, 1 + rng_() % 4);
        std::vector<cell> want;
        for (const auto& p : all)
            if (p.first.starts_with(prefix))
                want.emplace_back(p);
        const answer a = run(t, query_for(CHAIN_BTREE_PREFIX, prefix, prefix), 1 << 18);
        ASSERT_EQ(a.error, 0);
        ASSERT_EQ(pairs_in(a.out), want) << prefix;
    }
}

TEST_F(Btree, GoesOnWhereTheOutputWasFull) {
    const pairs all = random_pairs(rng_, 300);
    const tree t = build(all, 1024, 0, 0);
    chain_btree_query q = query_for(CHAIN_BTREE_SCAN, "");
    std::vector<cell> got;
    for (;;) {
        const answer a = run(t, q, 700);
        ASSERT_EQ(a.error, 0);
        for (cell& c : pairs_in(a.out))
            got.push_back(std::move(c));
        const auto after = query_of<chain_btree_query>(a);
        if (after.more == 0)
            break;
        ASSERT_GT(after.found, 0U);
        q.key_bytes = after.key_bytes;
        std::memcpy(q.key, after.key, sizeof(q.key));
    }
    ASSERT_EQ(got, std::vector<cell>(all.begin(), all.end()));
    // Not even one pair fits.
    EXPECT_EQ(run(t, query_for(CHAIN_BTREE_SCAN, ""), 4).error, -ENOSPC);
}

// With checksums a damaged tree gives the right answer or an error.
TEST_F(Btree, DamageIsAnErrorAndNoAnswer) {
    const pairs all = random_pairs(rng_, 300);
    const tree good = build(all, 1024, 4, 0);
    unsigned seen = 0;
    for (unsigned round = 0; round < rounds(3000); round++) {
        tree t = good;
        for (unsigned n = 1 + rng_() % 3; n > 0; n--)
            t.file[rng_() % t.file.size()] ^= static_cast<uint8_t>(1 + rng_() % 255);
        const auto& [key, value] = *std::next(all.begin(), rng_() % all.size());
        const answer a = run(t, query_for(CHAIN_BTREE_GET, key));
        seen += a.error != 0;
        if (a.error == 0)
            ASSERT_EQ(text(a.out), value);
        else
            ASSERT_EQ(a.error, -EILSEQ);
        const answer s = run(t, query_for(CHAIN_BTREE_SCAN, key), 1 << 18);
        if (s.error == 0)
            ASSERT_EQ(pairs_in(s.out), range(all, key, ""));
    }
    EXPECT_GT(seen, 10U);
}

// Without them it gives anything, but ends, within the blocks. Whole words are
// replaced, so that offsets and lengths are as bad as can be.
TEST_F(Btree, DamageWithoutChecksumsEnds) {
    const pairs all = random_pairs(rng_, 200);
    const tree good = build(all, 512, 4, 0);
    const uint32_t bad_words[] = {0, 1, 3, 4, 511, 512, 513, 0x7fff, 0x8000, 0xffff, 0x10000};
    for (unsigned round = 0; round < rounds(20000); round++) {
        tree t = good;
        for (unsigned n = 1 + rng_() % 6; n > 0; n--) {
            const size_t at = rng_() % (t.file.size() - 4);
            const uint32_t word = rng_() % 2 == 0 ? bad_words[rng_() % 11] : rng_();
            std::memcpy(&t.file[at], &word, rng_() % 2 == 0 ? 2 : 4);
        }
        const auto& key = std::next(all.begin(), rng_() % all.size())->first;
        const auto op = static_cast<chain_btree_op>(rng_() % 3);
        const answer a = run(t, query_for(op, key, op == CHAIN_BTREE_PREFIX ? key : "", 0),
                             rng_() % 2 == 0 ? 100 : 1 << 16);
        ASSERT_NE(a.error, -ELOOP);
    }
}

void set_child(tree& t, uint64_t page, unsigned n, uint64_t offset) {
    uint16_t slot, key_bytes;
    std::memcpy(&slot, &t.file[page + CHAIN_BTREE_SLOTS + 2 * n], 2);
    std::memcpy(&key_bytes, &t.file[page + slot], 2);
    const chain_btree_child child{offset, 0};
    std::memcpy(&t.file[page + slot + 4 + key_bytes], &child, sizeof(child));
}

TEST_F(Btree, CirclesAndPointersOutOfTheFile) {
    const pairs all = random_pairs(rng_, 300);
    const tree good = build(all, 1024, 4, 0);
    chain_btree_root root;
    std::memcpy(&root, good.file.data(), sizeof(root));
    ASSERT_GE(root.level, 2);
    const auto& key = all.begin()->first;
    const chain_btree_query get = query_for(CHAIN_BTREE_GET, key, "", 0);
    // A child that is its parent.
    tree t = good;
    set_child(t, root.child.offset, 0, root.child.offset);
    EXPECT_EQ(run(t, get).error, -EUCLEAN);
    // The root page as a child.
    t = good;
    set_child(t, root.child.offset, 0, 0);
    EXPECT_EQ(run(t, get).error, -EUCLEAN);
    // Out of the file; and between pages.
    t = good;
    set_child(t, root.child.offset, 0, good.file.size());
    EXPECT_EQ(run(t, get).error, -ERANGE);
    t = good;
    set_child(t, root.child.offset, 0, ~0ULL - 1023);
    EXPECT_EQ(run(t, get).error, -ERANGE);
    t = good;
    set_child(t, root.child.offset, 0, 1027);
    EXPECT_EQ(run(t, get).error, -EUCLEAN);
    // A leaf that follows itself: the first page behind the root page.
    t = good;
    const chain_btree_child self{1024, 0};
    std::memcpy(&t.file[1024 + offsetof(chain_btree_page, next)], &self, sizeof(self));
    EXPECT_EQ(run(t, query_for(CHAIN_BTREE_SCAN, "", "", 0), 1 << 18).error, -EUCLEAN);
    // A page of another version.
    t = good;
    t.file[root.child.offset + offsetof(chain_btree_page, version)]++;
    EXPECT_EQ(run(t, get).error, -ESTALE);
}

// What libxxhash 0.8.3 gives for the buffer of its own tests.
TEST_F(Btree, ChecksumIsXxh64) {
    bytes buffer(4096);
    uint64_t generator = 2654435761U;
    for (uint8_t& b : buffer) {
        b = static_cast<uint8_t>(generator >> 56);
        generator *= 11400714785074694797ULL;
    }
    const struct {
        uint32_t bytes;
        uint64_t sum, sum_seeded;
    } known[] = {
        {0, 0xef46db3751d8e999ULL, 0xac75fda2929b17efULL},
        {8, 0xcdbcf538e71d1348ULL, 0xfe0c047a5353cdacULL},
        {24, 0xf75a6dea42dc5bf4ULL, 0x8b7c67eb59778e22ULL},
        {32, 0x18b216492bb44b70ULL, 0xb3f33bdf93ade409ULL},
        {40, 0x23b3810d7d8b1731ULL, 0x5a57f246772bc540ULL},
        {224, 0x560a22f68d44baa4ULL, 0xce6601fbb696a3cbULL},
        {4088, 0x7ceb172052d9e610ULL, 0x4f08b47e9e745585ULL},
    };
    for (const auto& k : known) {
        EXPECT_EQ(chain_xxh64(buffer.data(), k.bytes, 0), k.sum) << k.bytes;
        EXPECT_EQ(chain_xxh64(buffer.data(), k.bytes, 2654435761U), k.sum_seeded) << k.bytes;
    }
}

TEST_F(Btree, BuilderRefuses) {
    auto write = [](uint64_t, const bytes&) -> Status { return {}; };
    std::vector<cell> cells = {{"b", "1"}, {"a", "2"}};
    auto from = cells.begin();
    auto next = [&]() -> std::optional<cell> {
        if (from == cells.end())
            return {};
        return *from++;
    };
    EXPECT_EQ(btree_write(0, 1024, 0, next, write).error().err, EINVAL);
    from = cells.begin();
    EXPECT_EQ(btree_write(100, 1024, 0, next, write).error().err, EINVAL);
    EXPECT_EQ(btree_write(0, 1000, 0, next, write).error().err, EINVAL);
    EXPECT_EQ(btree_write(0, 1024, 1, next, write).error().err, EINVAL);
    cells = {{"a", std::string(2000, 'x')}};
    from = cells.begin();
    EXPECT_EQ(btree_write(0, 1024, 0, next, write).error().err, E2BIG);
    // Keys of which a page holds one make no tree.
    cells.clear();
    for (char c = 'a'; c < 'k'; c++)
        cells.emplace_back(std::string(1, c) + std::string(249, 'x'), "1");
    from = cells.begin();
    EXPECT_EQ(btree_write(0, 512, 0, next, write).error().err, E2BIG);
}

}  // namespace
}  // namespace rr::chained
