// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The defects of the uptr KV store RFC (v1 and v2, March 2025), one test each:
// what its code got wrong is done here and must come out right.
#include <bpf/bpf.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "helpers.h"

namespace rr::store {
namespace {

struct point {
    uint32_t x, y;
    uint64_t z;
};

class RfcDefect : public StoreTest {};

// v1 update_value_size() grew a value without storing its new place.
TEST_F(RfcDefect, N1_GrownValueHasItsNewSizeAndPlace) {
    store s = make("keys");
    ASSERT_OK(s.make(300, "", KV_SYNC_OWNER, bytes(8, 1)));
    ASSERT_OK(s.make(301, "", KV_SYNC_OWNER, bytes(8, 2)));  // the neighbour
    ASSERT_OK(s.resize(300, 100, access::owner));
    auto value = s.get(300, access::owner);
    ASSERT_OK(value);
    EXPECT_EQ(value->size(), 100u);
    ASSERT_OK(s.put(300, bytes(100, 3), access::owner));
    EXPECT_EQ(*s.get(301), bytes(8, 2));
}

// v1 get and put clamped the size, then used the one that was not clamped.
TEST_F(RfcDefect, N2_WrongSizeNeverReachesTheNeighbour) {
    store s = make("keys");
    program p(s, "keys");
    ASSERT_OK(s.make(300, "", KV_SYNC_OWNER, bytes(8, 1)));
    ASSERT_OK(s.make(301, "", KV_SYNC_OWNER, bytes(8, 2)));
    p.global<uint32_t>("key") = 300;
    p.global<point>("give") = {0xffffffff, 0xffffffff, ~0ULL};  // 16 bytes into 8
    p.run("dynamic_put");
    EXPECT_EQ(p.global<int64_t>("result"), -EMSGSIZE);
    EXPECT_EQ(*s.get(300), bytes(8, 1));
    EXPECT_EQ(*s.get(301), bytes(8, 2));
    EXPECT_REFUSED(s.put(300, bytes(16, 9), access::owner), EMSGSIZE, "8 bytes");
    EXPECT_EQ(*s.get(301), bytes(8, 2));
}

// size:12 made 4096 into 0.
TEST_F(RfcDefect, N3_ValueOf4096Bytes) {
    store s = make("keys");
    bytes value(4096);
    for (size_t i = 0; i < value.size(); i++)
        value[i] = static_cast<uint8_t>(i * 7);
    ASSERT_OK(s.make(300, "", KV_SYNC_OWNER, value));
    EXPECT_EQ(*s.get(300, access::owner), value);
    EXPECT_EQ(s.make(301, "", KV_SYNC_OWNER, bytes(4097)).error().err, EMSGSIZE);
}

// v1 close() leaked half of the pages; the ninth page overran pages[8].
TEST_F(RfcDefect, N4_PagesEndWhereTheyEndAndAllAreFreed) {
    uint32_t id = 0;
    {
        auto m = object_manifest("keys");
        auto s = store::create(m, "");
        ASSERT_OK(s);
        id = s->at().map_id();
        Status ok;
        for (uint32_t key = 100; ok; key++)
            ok = s->make(key, "", KV_SYNC_OWNER, bytes(4096, 0xff));
        EXPECT_EQ(ok.error().err, ENOSPC);
        EXPECT_EQ(s->pages_used(), m.pages);
        ASSERT_OK(verify(*s));
        // Bank 1 begins right behind: not a byte of it was touched.
        const uint8_t* next = s->at().bytes_at(kv_data_start(1, s->at().pages()));
        for (size_t i = 0; i < size_t{m.pages} * KV_PAGE; i++)
            ASSERT_EQ(next[i], 0) << i;
    }
    // Memory is the map's; with the last descriptor closed the map is gone.
    int fd = 0;
    for (int i = 0; i < 100 && (fd = bpf_map_get_fd_by_id(id)) >= 0; i++) {
        ::close(fd);
        ::usleep(10000);
    }
    EXPECT_LT(fd, 0);
}

// v2's comparison for the search of gaps called all entries equal.
TEST_F(RfcDefect, N5_SlotsNeverOverlap) {
    store s = make("keys");
    std::mt19937_64 random(test_seed);
    std::map<uint32_t, bytes> model;
    for (int i = 0; i < 600; i++) {
        const auto id = static_cast<uint32_t>(100 + random() % 60);
        if (model.count(id) != 0) {
            ASSERT_OK(s.remove(id));
            model.erase(id);
        } else {
            const bytes value(1 + random() % 700, static_cast<uint8_t>(random()));
            const uint32_t sync = random() % 2 != 0 ? KV_SYNC_SEQ : KV_SYNC_OWNER;
            if (Status ok = s.make(id, "", sync, value); ok)
                model[id] = value;
            else
                ASSERT_EQ(ok.error().err, ENOSPC);
        }
        if (i % 50 == 0) {
            ASSERT_OK(verify(s)) << "--seed " << test_seed;
        }
    }
    for (const auto& [id, value] : model)
        ASSERT_EQ(*s.get(id, access::owner), value) << "--seed " << test_seed;
}

// v2 changed a size by deleting the key: the value was lost.
TEST_F(RfcDefect, N6_ChangedTypeKeepsTheValue) {
    store s = make("flow_v1");
    struct {
        uint32_t rate, burst;
    } limits{1234, 4321};
    ASSERT_OK(s.put(2, view(limits)));
    bpf_host host(pin("store"), load_object("flow_v2"), {}, s.at());
    ASSERT_OK(apply(s, object_manifest("flow_v2"), host, {}));
    struct wide {
        uint64_t burst;
        uint32_t rate, window;
    };
    EXPECT_EQ(value_of<wide>(s, 2).burst, 4321u);
    EXPECT_EQ(value_of<wide>(s, 2).rate, 1234u);
    EXPECT_EQ(value_of<wide>(s, 2).window, 60u);
}

// `if (!fd)`; errno set negative; plain bit-field writes while BPF runs;
// nothing versioned or checked.
TEST_F(RfcDefect, N7a_DescriptorZeroAndErrors) {
    // A store whose descriptor is 0 is a store.
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(0);
        auto m = manifest_of_object(load_object("keys"));
        auto s = area::create(*m);
        if (!s)
            ::_exit(1);
        Fd zero(::dup(s->fd()));
        if (zero.get() != 0 && s->fd() != 0)
            ::_exit(2);
        auto again = area::from_fd(std::move(zero));
        ::_exit(again ? 0 : 3);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    auto missing = store::open(pin("nothing"));
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().err, ENOENT);  // positive
}

TEST_F(RfcDefect, N7b_DirectoryWordsChangeAsAWhole) {
    // Offset and size are of one value, whenever they are read.
    store s = make("keys");
    ASSERT_OK(s.make(300, "", KV_SYNC_SEQ, bytes(8, 8)));
    std::set<uint64_t> published{s.at().word(0, 300)};
    bool stop = false;
    std::vector<uint64_t> seen;
    std::thread watcher([&] {
        uint64_t last = 0;
        while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
            if (const uint64_t word = s.at().word(0, 300); word != last) {
                seen.push_back(word);
                last = word;
            }
    });
    for (int i = 0; i < 20; i++) {
        ASSERT_OK(s.resize(300, static_cast<uint32_t>(8 + i * 16)));
        published.insert(s.at().word(0, 300));
    }
    __atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
    watcher.join();
    EXPECT_FALSE(seen.empty());
    for (uint64_t word : seen)
        EXPECT_EQ(published.count(word), 1u) << std::hex << word;
}

TEST_F(RfcDefect, N7c_TypesAreCheckedNotOnlySizes) {
    // The same size, other members: libbpf and the RFC let this pass.
    store s = make("flow_v1");
    manifest other = *s.describe();
    type_maker types;
    const uint32_t u32 = types.number(4, false);
    other.version = 2;
    for (key_entry& k : other.keys)
        if (k.id == 2) {
            const uint32_t swapped =
                types.structure("limits", {{"packets", u32, ""}, {"bytes", u32, ""}});
            auto added = other.types.add({types.get(), swapped});
            ASSERT_OK(added);
            k.type_id = *added;
            k.hash = type_hash(other.types.at(*added));
            k.initial.assign(k.size, 0);
        }
    const bytes before = snapshot(s);
    no_programs host;
    EXPECT_REFUSED(apply(s, other, host, {}), EINVAL, "same size");
    EXPECT_EQ(snapshot(s), before);
}

}  // namespace
}  // namespace rr::store
