// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An application that does what it should not: null pointers, numbers out of every
// range, a thread that is not the owner, files that change while they are read. An
// error or the right answer, never a hang, a crash or other data.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>

#include "chain/chain_build.h"
#include "chain/chain_steps.h"
#include "helpers.h"
#include "test_steps.h"

namespace rr::chained {
namespace {

constexpr uint32_t block = 512;
constexpr unsigned blocks = 256;

// Block n leads to block n + 1; its value, and each of its other words, is its number.
bytes numbered() {
    bytes b(uint64_t{blocks} * block);
    for (unsigned n = 0; n < blocks; n++) {
        const uint64_t number = n + 1;
        for (unsigned at = 0; at < block; at += 8)
            std::memcpy(&b[uint64_t{n} * block + at], &number, 8);
        const test_node node{n + 1 < blocks ? uint64_t{n + 1} * block : 0, number, number, number};
        std::memcpy(&b[uint64_t{n} * block], &node, sizeof(node));
    }
    return b;
}

class Hostile : public ::testing::Test {
protected:
    rr_chain_options options() {
        file_ = {content_.path().c_str(), 0};
        rr_chain_options o = test_options({&file_, 1});
        o.block_bytes = block;
        return o;
    }

    static rr_chain_lookup lookup(uint32_t step, const test_query& q, unsigned from = 0) {
        rr_chain_lookup l{};
        l.step = step;
        l.offset = uint64_t{from} * block;
        l.bytes = block;
        l.scratch = &q;
        l.scratch_bytes = sizeof(q);
        l.hops_max = 2 * blocks;
        return l;
    }

    test_file content_{numbered()};
    rr_chain_file file_{};
    std::mt19937 rng_{seed};
};

TEST_F(Hostile, NullPointers) {
    const rr_chain_options o = options();
    rr_chain* none = nullptr;
    EXPECT_EQ(rr_chain_open(nullptr, &none), -EINVAL);
    EXPECT_NE(std::string(rr_chain_error()).find("null pointer"), std::string::npos);
    EXPECT_EQ(rr_chain_open(&o, nullptr), -EINVAL);
    rr_chain_close(nullptr);
    const rr_chain_lookup l{};
    rr_chain_result r{};
    EXPECT_EQ(rr_chain_submit(nullptr, &l, 1), -EINVAL);
    EXPECT_EQ(rr_chain_wait(nullptr, 1, &r, 1), -EINVAL);
    EXPECT_EQ(rr_chain_poll(nullptr, &r, 1), -EINVAL);
    EXPECT_EQ(rr_chain_refresh(nullptr, 0), -EINVAL);
    EXPECT_EQ(rr_chain_check(nullptr, 0), -EINVAL);
    const chain_ptr chain = open_chain(o);
    ASSERT_TRUE(chain);
    EXPECT_EQ(rr_chain_submit(chain.get(), nullptr, 1), -EINVAL);
    EXPECT_EQ(rr_chain_wait(chain.get(), 1, nullptr, 1), -EINVAL);
    // Nothing of nothing is nothing.
    EXPECT_EQ(rr_chain_submit(chain.get(), nullptr, 0), 0);
    EXPECT_EQ(rr_chain_poll(chain.get(), nullptr, 0), 0);
    EXPECT_EQ(rr_chain_refresh(chain.get(), 1), -EBADF);
    EXPECT_EQ(rr_chain_check(chain.get(), ~0U), -EBADF);
    EXPECT_EQ(rr_chain_file_bytes(chain.get(), 16), -EBADF);
    const int fd = ::open(content_.path().c_str(), O_RDWR | O_CLOEXEC);
    EXPECT_EQ(rr_btree_write(fd, 0, 4096, 0, nullptr, nullptr, nullptr), -EINVAL);
    EXPECT_EQ(rr_hash_write(fd, 0, 4096, 1, nullptr, nullptr, nullptr), -EINVAL);
    EXPECT_EQ(rr_rows_write(fd, 0, 4096, nullptr, 1, 8), -EINVAL);
    ::close(fd);
}

// A lookup without scratch, and one whose scratch is nowhere.
TEST_F(Hostile, NoScratch) {
    const chain_ptr chain = open_chain(options());
    ASSERT_TRUE(chain);
    rr_chain_lookup l{};
    l.step = TEST_FOLLOW;
    l.offset = (blocks - 3) * block;
    l.bytes = block;
    EXPECT_EQ(ask(chain.get(), l).hops, 3U);
    l.scratch_bytes = sizeof(test_query);
    EXPECT_EQ(rr_chain_submit(chain.get(), &l, 1), -EMSGSIZE);
    EXPECT_EQ(rr_chain_in_flight(chain.get()), 0U);
    // It is the second one: the first is taken.
    const test_query q{};
    const rr_chain_lookup both[] = {lookup(TEST_FOLLOW, q, blocks - 1), l};
    EXPECT_EQ(rr_chain_submit(chain.get(), both, 2), 1);
}

// Steps of the caller's own for the kernel, and none for user space: the library's have
// the same numbers and other meanings.
TEST_F(Hostile, StepsForTheKernelOnly) {
    rr_chain_options o = options();
    o.program = nullptr;
    o.flags = RR_CHAIN_USER;
    rr_chain* c = nullptr;
    EXPECT_EQ(rr_chain_open(&o, &c), -EINVAL);
    EXPECT_NE(std::string(rr_chain_error()).find("give .program"), std::string::npos);
    EXPECT_EQ(c, nullptr);
}

TEST_F(Hostile, OnlyItsThreadLooksAtFiles) {
    const chain_ptr chain = open_chain(options());
    ASSERT_TRUE(chain);
    std::thread([&] {
        EXPECT_EQ(rr_chain_refresh(chain.get(), 0), -EEXIST);
        EXPECT_EQ(rr_chain_check(chain.get(), 0), -EEXIST);
    }).join();
    EXPECT_EQ(rr_chain_refresh(chain.get(), 0), 0);
    EXPECT_EQ(rr_chain_check(chain.get(), 0), 0);
}

// Whose opener is gone, with lookups that nobody waited for.
TEST_F(Hostile, ClosedByAnotherThread) {
    for (int i = 0; i < (kernel ? 2 : 20); i++) {
        chain_ptr chain;
        std::thread([&] {
            chain = open_chain(options());
            ASSERT_TRUE(chain);
            const test_query q{};
            const std::vector<rr_chain_lookup> l(64, lookup(TEST_FOLLOW, q));
            EXPECT_EQ(rr_chain_submit(chain.get(), l.data(), 64), 64);
            rr_chain_result r;
            EXPECT_GE(rr_chain_poll(chain.get(), &r, 1), 0);
        }).join();
        rr_chain_result r;
        EXPECT_EQ(rr_chain_poll(chain.get(), &r, 1), -EEXIST);
        chain.reset();
    }
}

// As many threads as there are, with a chain each, on one file.
TEST_F(Hostile, ManyThreads) {
    const rr_chain_options o = options();
    std::vector<std::thread> all;
    for (unsigned t = 0; t < (kernel ? 2U : 8U); t++)
        all.emplace_back([&, t] {
            const chain_ptr chain = open_chain(o);
            ASSERT_TRUE(chain);
            const test_query q{};
            for (unsigned i = 0; i < 50; i++) {
                const unsigned from = (t * 31 + i * 7) % blocks;
                const answer a = ask(chain.get(), lookup(TEST_FOLLOW, q, from));
                EXPECT_EQ(a.error, 0);
                EXPECT_EQ(a.hops, blocks - from);
            }
        });
    for (std::thread& t : all)
        t.join();
}

TEST_F(Hostile, ADepthOfOne) {
    rr_chain_options o = options();
    o.depth = 1;
    o.fan_out = 8;
    o.cache_blocks = 1;
    o.hops_per_turn = 1;
    o.bytes_most = 1;
    o.gather = 4096;
    const chain_ptr chain = open_chain(o);
    ASSERT_TRUE(chain);
    for (unsigned round = 0; round < 20; round++) {
        test_query q{};
        q.flags = round % 2 == 0 ? CHAIN_KEEP : 0;
        EXPECT_EQ(ask(chain.get(), lookup(TEST_FOLLOW, q, blocks - 20)).hops, 20U);
        q.bytes = block;
        q.count = 8;
        const answer a = ask(chain.get(), lookup(TEST_FAN, q));
        EXPECT_EQ(a.error, 0);
        EXPECT_EQ(query_of<test_query>(a).sum, 1 + 4 + 9 + 16 + 25 + 36 + 49 + 64U);
    }
}

uint64_t anything(std::mt19937& rng) {
    switch (rng() % 6) {
        case 0:
            return rng() % 9;
        case 1:
            return rng() % blocks * block;
        case 2:
            return ~uint64_t{0} - rng() % 1024;
        case 3:
            return uint64_t{1} << rng() % 64;
        case 4:
            return blocks * block - rng() % 16;
        default:
            return uint64_t{rng()} << 32 | rng();
    }
}

// Every lookup ends, and the chain is as good as new.
TEST_F(Hostile, AnyNumbers) {
    rr_chain_options o = options();
    o.depth = 32;
    o.fan_out = 8;
    o.cache_blocks = 16;
    const chain_ptr chain = open_chain(o);
    ASSERT_TRUE(chain);
    for (unsigned round = 0; round < rounds(kernel ? 50 : 1000); round++) {
        std::vector<test_query> queries(32);
        std::vector<rr_chain_lookup> l;
        for (test_query& q : queries) {
            q = {anything(rng_),
                 static_cast<rr_u32>(anything(rng_)),
                 static_cast<rr_u32>(anything(rng_)),
                 static_cast<rr_u32>(anything(rng_)),
                 static_cast<rr_u32>(anything(rng_)),
                 anything(rng_)};
            if (q.flags == TEST_FOR_EVER)
                q.flags = 0;
            l.push_back(lookup(static_cast<uint32_t>(anything(rng_)), q));
            if (rng_() % 2 == 0)
                l.back().step = rng_() % 8;
            if (rng_() % 2 == 0)
                l.back().offset = anything(rng_);
            if (rng_() % 2 == 0)
                l.back().bytes = static_cast<uint32_t>(anything(rng_));
            if (rng_() % 4 == 0)
                l.back().file = static_cast<uint32_t>(anything(rng_));
            l.back().keep = static_cast<uint32_t>(anything(rng_));
            l.back().hops_max = rng_() % 300;
        }
        ASSERT_EQ(rr_chain_submit(chain.get(), l.data(), 32), 32);
        rr_chain_result r[32];
        ASSERT_EQ(rr_chain_wait(chain.get(), 32, r, 32), 32) << rr_chain_error();
    }
    const test_query q{};
    EXPECT_EQ(ask(chain.get(), lookup(TEST_FOLLOW, q)).hops, blocks);
    EXPECT_STREQ(rr_chain_faults(chain.get()), "");
}

// A file that is cut and written again while it is read: what a block had, nothing, or
// an error; and never what another read has left in the buffer.
TEST_F(Hostile, AFileThatIsCutUnderWay) {
    for (const unsigned flags : {0U, unsigned{RR_CHAIN_BUFFERED}}) {
        rr_chain_options o = options();
        o.flags = flags;
        o.depth = 32;
        const chain_ptr chain = open_chain(o);
        ASSERT_TRUE(chain);
        std::atomic<bool> end = false;
        std::atomic<unsigned> cuts = 0;
        std::thread writer([&] {
            const bytes all = numbered();
            const int fd = ::open(content_.path().c_str(), O_WRONLY | O_CLOEXEC);
            std::mt19937 rng(seed);
            for (; !end; cuts++) {
                const auto half = static_cast<off_t>(rng() % all.size());
                EXPECT_EQ(::ftruncate(fd, half), 0);
                EXPECT_EQ(::pwrite(fd, all.data(), all.size(), 0),
                          static_cast<ssize_t>(all.size()));
            }
            ::close(fd);
        });
        unsigned good = 0, cut = 0;
        for (unsigned round = 0; round < rounds(kernel ? 100 : 300) || cuts < 20; round++) {
            std::vector<test_query> queries(32);
            std::vector<rr_chain_lookup> l;
            for (test_query& q : queries) {
                q.offset = rng_() % (blocks * block / 8 - 4) * 8;
                q.bytes = 8;
                l.push_back(lookup(TEST_ASK, q));
                l.back().tag = q.offset;
            }
            rr_chain_result r[32];
            ASSERT_EQ(rr_chain_submit(chain.get(), l.data(), 32), 32);
            ASSERT_EQ(rr_chain_wait(chain.get(), 32, r, 32), 32);
            for (const rr_chain_result& x : r) {
                uint64_t is = ~0ULL, want = ~0ULL;
                if (x.error != 0) {
                    ASSERT_EQ(x.error, -ENODATA);
                    cut++;
                    continue;
                }
                std::memcpy(&is, x.out, 8);
                want = x.tag / block + 1;
                if (x.tag % block == 0)
                    want = want < blocks ? want * block : 0;
                // What was not written yet is a hole.
                ASSERT_TRUE(is == want || is == 0) << is << " at " << x.tag;
                good += is == want;
            }
        }
        end = true;
        writer.join();
        EXPECT_GT(good, 0U);
        std::printf("# %u cuts, %u blocks, %u errors\n", cuts.load(), good, cut);
    }
}

// A step that does not end is ended by the kernel; in user space it hangs its own caller.
TEST_F(Hostile, AStepThatNeverEnds) {
    if (!kernel)
        GTEST_SKIP() << "nobody ends it here";
    const chain_ptr chain = open_chain(options());
    ASSERT_TRUE(chain);
    test_query forever{}, q{};
    forever.flags = TEST_FOR_EVER;
    const rr_chain_lookup l[] = {lookup(TEST_SILENT, forever), lookup(TEST_FOLLOW, q, blocks - 5)};
    ASSERT_EQ(rr_chain_submit(chain.get(), l, 2), 2);
    rr_chain_result r[2];
    ASSERT_EQ(rr_chain_wait(chain.get(), 2, r, 2), 2);
    for (const rr_chain_result& x : r)
        EXPECT_EQ(x.error, x.hops == 5 ? 0 : -EPROTO);
}

}  // namespace
}  // namespace rr::chained
