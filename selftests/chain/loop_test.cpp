// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The loop: many lookups at a time, the cache and its generation, stale paths and
// torn blocks, a writer at work, and that nobody starves his neighbours.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "chain/chain_api.hpp"
#include "churn.h"
#include "helpers.h"
#include "test_steps.h"

namespace rr::chained {
namespace {

constexpr uint32_t block = 512;

// Block n of a list leads to block n + 1, and the last one to none; value n.
bytes list(unsigned blocks) {
    bytes b(uint64_t{blocks} * block);
    for (unsigned n = 0; n < blocks; n++) {
        const test_node node{n + 1 < blocks ? uint64_t{n + 1} * block : 0, n, 1, 1};
        std::memcpy(&b[uint64_t{n} * block], &node, sizeof(node));
    }
    return b;
}

rr_chain_lookup lookup_for(uint32_t step, const test_query& q, unsigned from = 0) {
    rr_chain_lookup l{};
    l.step = step;
    l.offset = uint64_t{from} * block;
    l.bytes = block;
    l.scratch = &q;
    l.scratch_bytes = sizeof(q);
    l.tag = from;
    l.hops_max = 100000;
    return l;
}

class Loop : public ::testing::Test {
protected:
    void open(rr_chain_options more = {}) {
        file_ = {content_.path().c_str(), 0};
        rr_chain_options o = test_options({&file_, 1});
        o.block_bytes = block;
        o.depth = more.depth;
        o.fan_out = more.fan_out;
        o.cache_blocks = more.cache_blocks;
        o.gather = more.gather;
        o.hops_per_turn = more.hops_per_turn;
        o.bytes_most = more.bytes_most;
        chain_ = open_chain(o);
    }

    rr_chain_counts counts() {
        rr_chain_counts n{};
        rr_chain_count(chain_.get(), &n);
        return n;
    }

    void TearDown() override {
        if (chain_)
            EXPECT_STREQ(rr_chain_faults(chain_.get()), "");
    }

    static constexpr unsigned blocks = 1024;
    test_file content_{list(blocks)};
    rr_chain_file file_{};
    chain_ptr chain_;
    std::mt19937 rng_{seed};
};

uint64_t value(const rr_chain_result& r) {
    uint64_t v = ~0ULL;
    if (r.out_bytes == 8)
        std::memcpy(&v, r.out, 8);
    return v;
}

TEST_F(Loop, ManyLookupsWithOneSystemCall) {
    rr_chain_options o{};
    o.depth = 64;
    open(o);
    for (int round = 0; round < 20; round++) {
        test_query q{};
        std::vector<rr_chain_lookup> l;
        for (unsigned i = 0; i < 64; i++)
            l.push_back(lookup_for(TEST_FOLLOW, q, blocks - 1 - rng_() % 20));
        const rr_chain_counts before = counts();
        ASSERT_EQ(rr_chain_submit(chain_.get(), l.data(), 64), 64);
        rr_chain_result r[64];
        ASSERT_EQ(rr_chain_wait(chain_.get(), 64, r, 64), 64);
        std::map<uint64_t, unsigned> seen;
        for (const rr_chain_result& x : r) {
            ASSERT_EQ(x.error, 0);
            ASSERT_EQ(value(x), blocks - 1);
            ASSERT_EQ(x.hops, blocks - x.tag);
            ASSERT_EQ(reinterpret_cast<const test_query*>(x.scratch)->count, x.hops);
            seen[x.tag]++;
        }
        for (const rr_chain_lookup& x : l)
            ASSERT_GT(seen[x.tag], 0U);
        if (kernel)
            ASSERT_EQ(counts().enters, before.enters + 1);
    }
}

TEST_F(Loop, ForCppAChainHasAnOwner) {
    file_ = {content_.path().c_str(), 0};
    rr_chain_options o = test_options({&file_, 1});
    o.block_bytes = block;
    o.flags |= kernel ? RR_CHAIN_KERNEL : RR_CHAIN_USER;
    chain_reader opened(o);
    chain_reader chain = std::move(opened);
    EXPECT_EQ(opened.get(), nullptr);
    const test_query q{};
    const rr_chain_lookup l[] = {lookup_for(TEST_FOLLOW, q, blocks - 1),
                                 lookup_for(TEST_FOLLOW, q, blocks - 5)};
    rr_chain_result r[2];
    ASSERT_EQ(chain.submit(l), 2);
    ASSERT_EQ(chain.wait(r), 2);
    EXPECT_EQ(value(r[0]), blocks - 1);
    EXPECT_EQ(value(r[1]), blocks - 1);
    EXPECT_EQ(chain.poll(r), 0);
    chain.bump();
    o.files_count = 0;
    EXPECT_THROW(chain_reader{o}, std::system_error);
}

TEST_F(Loop, ErrorsEndALookupAndNoOther) {
    rr_chain_options o{};
    o.depth = 16;
    open(o);
    test_query q{};
    std::vector<rr_chain_lookup> l;
    const int want[] = {0, -EPROTO, -EILSEQ, -ESTALE, -ENOSPC, 0, -EINVAL, -ELOOP};
    l.push_back(lookup_for(TEST_FOLLOW, q, blocks - 8));
    l.push_back(lookup_for(TEST_SILENT, q));
    l.push_back(lookup_for(TEST_AGAIN, q));
    l.push_back(lookup_for(TEST_RESTART, q));
    l.push_back(lookup_for(TEST_FILL, q));
    l.push_back(lookup_for(TEST_FOLLOW, q, blocks - 20));
    l.push_back(lookup_for(99, q));
    l.push_back(lookup_for(TEST_FOLLOW, q, 0));
    l.back().hops_max = 10;
    for (size_t i = 0; i < l.size(); i++)
        l[i].tag = i;
    const auto n = static_cast<int>(l.size());
    ASSERT_EQ(rr_chain_submit(chain_.get(), l.data(), static_cast<unsigned>(n)), n);
    rr_chain_result r[8];
    ASSERT_EQ(rr_chain_wait(chain_.get(), 8, r, 8), n);
    for (const rr_chain_result& x : r)
        EXPECT_EQ(x.error, want[x.tag]) << x.tag;
    EXPECT_EQ(rr_chain_in_flight(chain_.get()), 0U);
}

TEST_F(Loop, DepthIsALimitAndTheRestIsTakenLater) {
    rr_chain_options o{};
    o.depth = 4;
    open(o);
    test_query q{};
    std::vector<rr_chain_lookup> l(10, lookup_for(TEST_FOLLOW, q, blocks - 3));
    rr_chain_result r[10];
    ASSERT_EQ(rr_chain_submit(chain_.get(), l.data(), 10), 4);
    ASSERT_EQ(rr_chain_submit(chain_.get(), l.data(), 1), -EAGAIN);
    ASSERT_EQ(rr_chain_wait(chain_.get(), 10, r, 10), 4);
    ASSERT_EQ(rr_chain_wait(chain_.get(), 1, r, 1), 0);
    ASSERT_EQ(rr_chain_submit(chain_.get(), l.data(), 6), 4);
    ASSERT_EQ(rr_chain_wait(chain_.get(), 1, r, 1), 1);
    ASSERT_EQ(rr_chain_in_flight(chain_.get()), 3U);
}

TEST_F(Loop, PollDoesNotWaitButGoesOn) {
    open();
    test_query q{};
    const rr_chain_lookup l = lookup_for(TEST_FOLLOW, q, blocks - 30);
    ASSERT_EQ(rr_chain_submit(chain_.get(), &l, 1), 1);
    rr_chain_result r;
    int n = 0;
    for (long i = 0; i < 100000000 && n == 0; i++)
        n = rr_chain_poll(chain_.get(), &r, 1);
    ASSERT_EQ(n, 1);
    EXPECT_EQ(r.hops, 30U);
}

TEST_F(Loop, FanOut) {
    rr_chain_options o{};
    o.fan_out = 8;
    open(o);
    test_query q{};
    q.bytes = block;
    q.offset = 100 * block;
    for (q.count = 1; q.count <= 8; q.count++) {
        const answer a = ask(chain_.get(), lookup_for(TEST_FAN, q));
        ASSERT_EQ(a.error, 0);
        ASSERT_EQ(a.hops, q.count + 1);
        uint64_t want = 0;
        for (uint64_t i = 0; i < q.count; i++)
            want += (100 + i) * (i + 1);
        test_query after;
        std::memcpy(&after, a.scratch.data(), sizeof(after));
        ASSERT_EQ(after.sum, want);
    }
    q.count = 9;
    EXPECT_EQ(ask(chain_.get(), lookup_for(TEST_FAN, q)).error, -ENOSPC);
    // An error of one read ends the lookup when the others are back.
    q.count = 8;
    q.offset = (blocks - 3) * block;
    EXPECT_EQ(ask(chain_.get(), lookup_for(TEST_FAN, q)).error, -ERANGE);
    EXPECT_EQ(ask(chain_.get(), lookup_for(TEST_FOLLOW, q, blocks - 2)).error, 0);
}

TEST_F(Loop, AnotherThreadIsRefused) {
    open();
    test_query q{};
    const rr_chain_lookup l = lookup_for(TEST_FOLLOW, q, blocks - 1);
    int submitted = 0, waited = 0;
    std::string says;
    std::thread([&] {
        rr_chain_result r;
        submitted = rr_chain_submit(chain_.get(), &l, 1);
        waited = rr_chain_wait(chain_.get(), 1, &r, 1);
        says = rr_chain_error();
    }).join();
    EXPECT_EQ(submitted, -EEXIST);
    EXPECT_EQ(waited, -EEXIST);
    EXPECT_NE(says.find("one for each thread"), std::string::npos);
    EXPECT_EQ(ask(chain_.get(), l).error, 0);
}

TEST_F(Loop, ScratchThatDoesNotFitIsRefused) {
    open();
    const bytes large(513);
    rr_chain_lookup l{};
    l.bytes = block;
    l.scratch = large.data();
    l.scratch_bytes = 513;
    EXPECT_EQ(rr_chain_submit(chain_.get(), &l, 1), -EMSGSIZE);
    // A step that wants more than it was given gets none.
    l.scratch_bytes = 0;
    rr_chain_options o = test_options({&file_, 1});
    o.scratch_bytes = 16;
    chain_ = open_chain(o);
    EXPECT_EQ(ask(chain_.get(), l).error, -EINVAL);
}

TEST_F(Loop, CacheServesUntilTheGenerationIsOver) {
    rr_chain_options o{};
    o.cache_blocks = 64;
    open(o);
    test_query q{};
    q.flags = CHAIN_KEEP;
    rr_chain_lookup l = lookup_for(TEST_FOLLOW, q, blocks - 5);
    l.keep = 1;
    EXPECT_EQ(ask(chain_.get(), l).error, 0);
    const rr_chain_counts first = counts();
    EXPECT_EQ(first.reads, 5U);
    answer a = ask(chain_.get(), l);
    EXPECT_EQ(a.hops, 5U);
    EXPECT_EQ(counts().reads, 5U);
    EXPECT_EQ(counts().cache_hits, 5U);
    // The application writes a block, and says so.
    const test_node changed{0, 4711, 1, 1};
    bytes b(block);
    std::memcpy(b.data(), &changed, sizeof(changed));
    content_.write((blocks - 3) * block, b);
    a = ask(chain_.get(), l);
    EXPECT_EQ(a.hops, 5U) << "not said yet: the cache has it";
    rr_chain_bump(chain_.get());
    a = ask(chain_.get(), l);
    EXPECT_EQ(a.hops, 3U);
    EXPECT_EQ(counts().reads, 8U);
    uint64_t v;
    std::memcpy(&v, a.out.data(), 8);
    EXPECT_EQ(v, 4711U);
}

TEST_F(Loop, CacheSmallerThanItsUse) {
    rr_chain_options o{};
    o.cache_blocks = 4;
    o.depth = 16;
    open(o);
    test_query q{};
    q.flags = CHAIN_KEEP;
    for (int round = 0; round < 50; round++) {
        std::vector<rr_chain_lookup> l;
        for (int i = 0; i < 16; i++) {
            l.push_back(lookup_for(TEST_FOLLOW, q, blocks - 1 - rng_() % 30));
            l.back().keep = rng_() % 2;
        }
        ASSERT_EQ(rr_chain_submit(chain_.get(), l.data(), 16), 16);
        rr_chain_result r[16];
        ASSERT_EQ(rr_chain_wait(chain_.get(), 16, r, 16), 16);
        for (const rr_chain_result& x : r) {
            ASSERT_EQ(x.error, 0);
            ASSERT_EQ(value(x), blocks - 1);
            uint64_t sum = 0;
            for (uint64_t n = x.tag; n < blocks; n++)
                sum += n;
            ASSERT_EQ(reinterpret_cast<const test_query*>(x.scratch)->sum, sum);
        }
    }
    EXPECT_GT(counts().cache_hits, 0U);
}

// The first block is kept; what it leads to was replaced by another version.
TEST_F(Loop, AStalePathBeginsAgainPastTheCache) {
    rr_chain_options o{};
    o.cache_blocks = 16;
    open(o);
    auto put = [&](unsigned n, const test_node& node) {
        bytes b(block);
        std::memcpy(b.data(), &node, sizeof(node));
        content_.write(uint64_t{n} * block, b);
    };
    put(0, {10 * block, 0, 1, 1});
    put(10, {0, 100, 1, 0});
    test_query q{};
    rr_chain_lookup l = lookup_for(TEST_VERSION, q);
    l.keep = 1;
    auto look = [&] {
        const answer a = ask(chain_.get(), l);
        EXPECT_EQ(a.error, 0);
        uint64_t v = ~0ULL;
        if (a.out.size() == 8)
            std::memcpy(&v, a.out.data(), 8);
        return v;
    };
    EXPECT_EQ(look(), 100U);
    // By copy: the new block first, then the root, then the old place is used again.
    put(20, {0, 200, 2, 0});
    put(0, {20 * block, 0, 2, 2});
    put(10, {0, 666, 3, 0});
    EXPECT_EQ(look(), 200U);
    EXPECT_EQ(counts().restarts, 1U);
    // What was read on the second way is in the cache now.
    EXPECT_EQ(look(), 200U);
    EXPECT_EQ(counts().restarts, 1U);
    // A path that never fits gives up.
    put(0, {20 * block, 0, 2, 9});
    rr_chain_bump(chain_.get());
    EXPECT_EQ(ask(chain_.get(), l).error, -ESTALE);
}

// One lookup of thousands of hops that all are in the cache, and small ones with it:
// each turn gives the long one as many hops as there is room for, and no more.
TEST_F(Loop, ALongChainDoesNotStarveItsNeighbours) {
    rr_chain_options o{};
    o.cache_blocks = 4096;
    o.depth = 8;
    o.hops_per_turn = 4;
    open(o);
    test_query q{};
    q.flags = CHAIN_KEEP;
    rr_chain_lookup longest = lookup_for(TEST_FOLLOW, q, 0);
    longest.keep = 1;
    ASSERT_EQ(ask(chain_.get(), longest).hops, blocks);
    rr_chain_lookup neighbour = lookup_for(TEST_FOLLOW, q, blocks - 10);
    neighbour.keep = 1;
    ask(chain_.get(), neighbour);
    const uint64_t hits = counts().cache_hits, reads = counts().reads;
    std::vector<rr_chain_lookup> l(8, neighbour);
    l[0] = longest;
    l[0].tag = 4711;
    ASSERT_EQ(rr_chain_submit(chain_.get(), l.data(), 8), 8);
    rr_chain_result r[8];
    ASSERT_GE(rr_chain_wait(chain_.get(), 7, r, 7), 7);
    for (int i = 0; i < 7; i++)
        EXPECT_NE(r[i].tag, 4711U);
    // When seven lookups of ten hops had ended, the long one had about as many.
    EXPECT_LT(counts().cache_hits - hits, 7 * 10 + 40U);
    EXPECT_LT(counts().reads - reads, 40U);
    ASSERT_EQ(rr_chain_wait(chain_.get(), 1, r, 1), 1);
    EXPECT_EQ(r[0].tag, 4711U);
    EXPECT_EQ(r[0].hops, blocks);
}

// A chain that goes round in the cache, and a neighbour who waits for the disk.
TEST_F(Loop, HopsInTheCacheDoNotStarveReads) {
    bytes circle = list(8);
    const test_node last{4 * block, 7, 1, 1};
    std::memcpy(&circle[7 * block], &last, sizeof(last));
    content_.write(0, circle);
    rr_chain_options o{};
    o.cache_blocks = 64;
    o.hops_per_turn = 1;
    open(o);
    test_query kept{}, q{};
    kept.flags = CHAIN_KEEP;
    std::vector<rr_chain_lookup> l{lookup_for(TEST_FOLLOW, kept),
                                   lookup_for(TEST_FOLLOW, q, blocks - 3)};
    l[0].hops_max = 10000000;
    ASSERT_EQ(rr_chain_submit(chain_.get(), l.data(), 2), 2);
    rr_chain_result r;
    ASSERT_EQ(rr_chain_wait(chain_.get(), 1, &r, 1), 1);
    EXPECT_EQ(r.tag, blocks - 3);
    EXPECT_EQ(r.error, 0);
    // The other is under way still, and ends with the chain.
    EXPECT_EQ(rr_chain_in_flight(chain_.get()), 1U);
}

// The same with reads: a scan that keeps eight reads under way beside chains of one.
TEST_F(Loop, BytesUnderWayAreBounded) {
    rr_chain_options o{};
    o.depth = 16;
    o.fan_out = 8;
    o.bytes_most = 4 * 4096;
    open(o);
    test_query fan{}, q{};
    fan.bytes = block;
    fan.count = 8;
    std::vector<rr_chain_lookup> l;
    for (int i = 0; i < 15; i++)
        l.push_back(lookup_for(TEST_FAN, fan));
    l.push_back(lookup_for(TEST_FOLLOW, q, blocks - 3));
    ASSERT_EQ(rr_chain_submit(chain_.get(), l.data(), 16), 16);
    rr_chain_result r[16];
    ASSERT_EQ(rr_chain_wait(chain_.get(), 16, r, 16), 16);
    for (const rr_chain_result& x : r)
        EXPECT_EQ(x.error, 0);
    EXPECT_EQ(counts().reads, 15U * 9 + 3);
}

TEST(Concurrency, AWriterReplacesPagesByCopy) {
    const test_file content{bytes(churn_bytes)};
    churn_writer writer(content.path());
    const rr_chain_file file{content.path().c_str(), 0};
    rr_chain_options o = churn_options(&file);
    // Not O_DIRECT: the writer writes to the page cache, and a read meets half a page.
    o.flags = RR_CHAIN_BUFFERED;
    const chain_ptr chain = open_chain(o);
    ASSERT_TRUE(chain);
    churn_reader reader;
    writer.start(chain.get(), seed);
    const unsigned most = rounds(kernel ? 100 : 3000);
    for (unsigned i = 0; (i < most || writer.rounds() < 100) && !writer.failed(); i++)
        ASSERT_EQ(reader.round(chain.get()), "");
    writer.stop();
    EXPECT_FALSE(writer.failed());
    rr_chain_counts n;
    rr_chain_count(chain.get(), &n);
    std::printf("# %lu rounds of the writer; %lu restarts, %lu torn blocks, %u given up\n",
                static_cast<unsigned long>(writer.rounds()), static_cast<unsigned long>(n.restarts),
                static_cast<unsigned long>(n.again), reader.stale());
    EXPECT_LT(reader.stale(), most / 10 * churn_leaves);
    EXPECT_STREQ(rr_chain_faults(chain.get()), "");
}

}  // namespace
}  // namespace rr::chained
