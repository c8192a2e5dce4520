// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Row locks, one memory access at a time. The simulator switches queues
// between calls of the engine; here the switch is at every load, store and
// atomic operation of the lock, so that all orders of two or three queues
// that meet at one word come up: units exclude each other, and whoever waits
// is woken by the unlock that it waits for (there is no tick).
//
// Each queue is a coroutine that gives way before each shared access; a seed
// says who is next. Memory is sequentially consistent here: that the lock's
// atomics are full barriers is for the host to provide.
#include <ucontext.h>

#include <array>
#include <functional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "ringraid/types.h"

#undef RR_FN
#define RR_FN [[maybe_unused]] static
#define typeof __typeof__

#include "engine/arena.h"

namespace {
void give_way();
}

#undef rr_interleave
#define rr_interleave() give_way()

#include "engine/lock.h"

namespace {

constexpr uint32_t queues_max = 3;
constexpr uint32_t units = 4;

struct queue {
    ucontext_t context;
    std::vector<char> stack = std::vector<char>(64 * 1024);
    uint32_t mask = 0, rounds = 0;
    bool asleep = false, woken = false, done = false;
};

struct game {
    std::array<queue, queues_max> queues;
    ucontext_t main;
    uint32_t current = 0;
    std::array<uint32_t, units> holder{};
    bool overlap = false;
    std::vector<uint64_t> memory = std::vector<uint64_t>((4096 + sizeof(rr_lock)) / 8 + 1);

    rr_array* array() { return reinterpret_cast<rr_array*>(memory.data()); }
    rr_lock* lock() { return rr_lock_at(array(), 0); }
};

game* playing;

void give_way() {
    swapcontext(&playing->queues[playing->current].context, &playing->main);
}

void play_queue() {
    game& g = *playing;
    const uint32_t me = g.current;
    queue& q = g.queues[me];
    for (uint32_t round = 0; round < q.rounds; round++) {
        for (uint32_t tries = 0;; tries++) {
            const uint32_t who = me + 1;
            // Impatient, so that claims are common.
            if (rr_lock_try(g.array(), me, 0, q.mask, tries < 1 ? who : who | RR_LOCK_CLAIM))
                break;
            q.asleep = !q.woken;
            while (!q.woken)
                give_way();
            q.woken = q.asleep = false;
        }
        for (uint32_t u = 0; u < units; u++)
            if (q.mask >> u & 1) {
                g.overlap |= g.holder[u] != 0;
                g.holder[u] = me + 1;
            }
        give_way();
        for (uint32_t u = 0; u < units; u++)
            if (q.mask >> u & 1)
                g.holder[u] = 0;
        const uint32_t wake = static_cast<uint32_t>(rr_lock_release(g.array(), 0, q.mask));
        for (uint32_t i = 0; i < queues_max; i++)
            if (wake >> i & 1) {
                g.queues[i].woken = true;
                g.queues[i].asleep = false;
            }
    }
    q.done = true;
}

// False: some sleep and nobody is left to wake them.
bool play(game& g, uint32_t count, std::mt19937& random) {
    playing = &g;
    g.array()->locks_offset = 4096;
    *g.lock() = {};
    for (uint32_t i = 0; i < count; i++) {
        queue& q = g.queues[i];
        q.mask = random() % 4 ? 3U << random() % 3 : 0xfU;
        q.rounds = 1 + random() % 3;
        q.asleep = q.woken = q.done = false;
        getcontext(&q.context);
        q.context.uc_stack.ss_sp = q.stack.data();
        q.context.uc_stack.ss_size = q.stack.size();
        q.context.uc_link = &g.main;
        makecontext(&q.context, play_queue, 0);
    }
    for (;;) {
        std::array<uint32_t, queues_max> ready{};
        uint32_t n = 0, open = 0;
        for (uint32_t i = 0; i < count; i++) {
            open += !g.queues[i].done;
            if (!g.queues[i].done && !g.queues[i].asleep)
                ready[n++] = i;
        }
        if (!n)
            return open == 0;
        g.current = ready[random() % n];
        swapcontext(&g.main, &g.queues[g.current].context);
    }
}

TEST(EngineLock, EveryOrderExcludesAndWakes) {
    game g;
    for (uint32_t seed = 1; seed <= 30000; seed++) {
        std::mt19937 random(seed);
        ASSERT_TRUE(play(g, 2 + seed % 2, random))
            << "seed " << seed << ": a waiter was never woken";
        ASSERT_FALSE(g.overlap) << "seed " << seed;
        ASSERT_EQ(g.lock()->units, 0U) << "seed " << seed;
    }
}

}  // namespace
