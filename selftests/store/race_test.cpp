// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shared values under fire: programs and threads write and read at once.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <thread>

#include "helpers.h"

namespace rr::store {
namespace {

struct even {
    uint64_t word[24];
};

bool differs(const bytes& value) {
    const auto e = as<even>(value);
    for (uint64_t w : e.word)
        if (w != e.word[0])
            return true;
    return false;
}

class Race : public StoreTest {};

TEST_F(Race, SeqValuesAreNeverTorn) {
    store s = make("race");
    program p(s, "race");
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> torn{0};
    std::atomic<uint64_t> read{0};
    std::atomic<uint64_t> written{0};
    std::atomic<uint64_t> failed{0};
    std::vector<std::thread> threads;
    for (const char* name : {"writer", "writer", "reader"})
        threads.emplace_back([&, name] {
            while (!stop)
                p.run(name, 200);
        });
    threads.emplace_back([&] {
        uint64_t n = 1;
        while (!stop) {
            even e;
            for (uint64_t& w : e.word)
                w = n << 32;
            n++;
            if (Status ok = s.put(1, view(e)); ok)
                written++;
            else if (ok.error().err != EBUSY)
                failed++;
        }
    });
    threads.emplace_back([&] {
        while (!stop) {
            auto value = s.get(1);
            if (value) {
                read++;
                torn += differs(*value);
            } else if (value.error().err != EAGAIN) {
                failed++;
            }
        }
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(test_long ? 10000 : 1500));
    stop = true;
    for (std::thread& t : threads)
        t.join();
    EXPECT_EQ(torn, 0u);
    EXPECT_EQ(failed, 0u);
    EXPECT_EQ(p.global<uint64_t>("torn"), 0u);
    EXPECT_EQ(p.global<uint64_t>("half_torn"), 0u);
    // It was a race: everybody had his turn, often.
    EXPECT_GT(read, 100u);
    EXPECT_GT(written, 100u);
    EXPECT_GT(p.global<uint64_t>("reads"), 100u);
    EXPECT_GT(p.global<uint64_t>("writes"), 100u);
    // No addition was lost.
    EXPECT_EQ(value_of<uint64_t>(s, 2),
              p.global<uint64_t>("writes") + p.global<uint64_t>("refused"));
    // Without protection the same values did tear: the test can see it.
    RecordProperty("bare_torn", std::to_string(p.global<uint64_t>("bare_torn")));
}

// Roll-outs to and fro while others read: each value is of one version, whole.
TEST_F(Race, ReadersMeetOneVersionOrTheOther) {
    store s = make("flow_v1");
    struct narrow {
        uint32_t rate, burst;
    };
    struct wide {
        uint64_t burst;
        uint32_t rate, window;
    };
    ASSERT_OK(s.put(2, view(narrow{7, 8})));
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> wrong{0};
    std::array<std::atomic<uint64_t>, 2> seen{};
    std::thread reader([&] {
        auto mine = store::open(pin("store"));
        while (!stop) {
            auto value = mine->get(2);
            if (!value) {
                wrong += value.error().err != EAGAIN;
            } else if (value->size() == sizeof(narrow)) {
                wrong += as<narrow>(*value).rate != 7 || as<narrow>(*value).burst != 8;
                seen[0]++;
            } else {
                const auto v = as<wide>(*value);
                wrong += v.rate != 7 || v.burst != 8 || v.window != 60;
                seen[1]++;
            }
        }
    });
    const manifest next = object_manifest("flow_v2");
    for (int i = 0; i < (test_long ? 200 : 20); i++) {
        bpf_host host(pin("store"), load_object("flow_v2"), {}, s.at());
        ASSERT_OK(apply(s, next, host, {}));
        ASSERT_OK(rollback(s, host, {}));
    }
    stop = true;
    reader.join();
    EXPECT_EQ(wrong, 0u);
    EXPECT_GT(seen[0], 10u);
    EXPECT_GT(seen[1], 10u);
}

// A value that is moved while it is written: what put() confirmed is there.
TEST_F(Race, NoWriteIsLostToAResize) {
    store s = make("keys");
    ASSERT_OK(s.make(300, "", KV_SYNC_SEQ, bytes(64)));
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> lost{0};
    uint64_t n = 0;
    std::thread writer([&] {
        auto mine = store::open(pin("store"));
        while (!stop) {
            bytes value(64);
            n++;
            std::memcpy(value.data(), &n, sizeof(n));
            if (!mine->put(300, value))
                continue;
            auto back = mine->get(300);
            lost += back && std::memcmp(back->data(), &n, sizeof(n)) != 0;
        }
    });
    for (int i = 0; i < (test_long ? 2000 : 150); i++) {
        ASSERT_OK(s.resize(300, 64));
        ::usleep(300);
    }
    stop = true;
    writer.join();
    EXPECT_EQ(lost, 0u);
    EXPECT_GT(n, 100u);
}

// Every moment at which a writer can stop, one store at a time.
TEST_F(Race, WriterThatStopsAnywhereLeavesAWholeValue) {
    store s = make("race");
    even old;
    for (uint64_t& w : old.word)
        w = 1;
    ASSERT_OK(s.put(1, view(old)));
    auto* slot = reinterpret_cast<kv_seq*>(s.at().bytes_at(kv_meta_offset(s.at().word(0, 1))));
    const size_t spare = (slot->seq & 1) != 0 ? 0 : sizeof(even);
    slot->lock = 1;  // a writer took it, ...
    for (size_t i = 0; i < 24; i++) {
        reinterpret_cast<even*>(slot->copy + spare)->word[i] = 2;  // ... wrote i words, and stopped
        EXPECT_FALSE(differs(*s.get(1)));
        EXPECT_EQ(as<even>(*s.get(1)).word[0], 1u);
    }
    slot->seq++;
    EXPECT_FALSE(differs(*s.get(1)));
    EXPECT_EQ(as<even>(*s.get(1)).word[0], 2u);
}

TEST_F(Race, WriterThatIsKilledBlocksNobodyForLong) {
    store s = make("race");
    program p(s, "race");
    auto* slot = reinterpret_cast<kv_seq*>(s.at().bytes_at(kv_meta_offset(s.at().word(0, 1))));
    const pid_t child = ::fork();
    if (child == 0) {
        value_lock lock;
        (void)lock.take(reinterpret_cast<uint8_t*>(slot));
        ::kill(::getpid(), SIGKILL);
    }
    ::waitpid(child, nullptr, 0);
    ASSERT_EQ(slot->lock, static_cast<uint32_t>(child));
    // BPF cannot tell that the holder is dead: it is refused, and reads go on.
    p.run("writer");
    EXPECT_EQ(p.global<uint64_t>("refused"), 1u);
    EXPECT_OK(s.get(1));
    no_programs host;
    auto found = recover(s, host);
    ASSERT_OK(found);
    EXPECT_NE(found->sentence.find("1 values were freed"), std::string::npos) << found->sentence;
    p.run("writer");
    EXPECT_EQ(p.global<uint64_t>("refused"), 1u);
    // User space takes it over by itself.
    slot->lock = static_cast<uint32_t>(child);
    even e{};
    EXPECT_OK(s.put(1, view(e)));
}

// The gate: after it is shut no program writes, and none that began goes on.
TEST_F(Race, NoProgramRunsBehindAShutGate) {
    store s = make("flow_v1");
    program p(s, "flow_v1");
    std::atomic<bool> stop{false};
    std::thread runner([&] {
        while (!stop)
            p.run("count", 50);
    });
    for (int i = 0; i < 20; i++) {
        const auto before = value_of<uint64_t>(s, 1);
        auto pause = s.shut_gate();
        ASSERT_OK(pause);
        const auto shut = value_of<uint64_t>(s, 1);
        ::usleep(2000);
        EXPECT_EQ(value_of<uint64_t>(s, 1), shut);
        EXPECT_GE(shut, before);
    }
    const auto last = value_of<uint64_t>(s, 1);
    for (int i = 0; i < 500 && value_of<uint64_t>(s, 1) == last; i++)
        ::usleep(10000);
    EXPECT_GT(value_of<uint64_t>(s, 1), last);  // and it opens again
    stop = true;
    runner.join();
}

}  // namespace
}  // namespace rr::store
