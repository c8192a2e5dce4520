// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Values from BPF and from user space: baked keys, dynamic keys, growth.
#include <bpf/bpf.h>

#include <atomic>
#include <thread>

#include <nlohmann/json.hpp>

#include "helpers.h"

namespace rr::store {
namespace {

struct point {
    uint32_t x, y;
    uint64_t z;
};

class Basic : public StoreTest {};

TEST_F(Basic, BakedKeysAreReadAndWrittenInPlace) {
    store s = make("keys");
    program p(s, "keys");
    ASSERT_OK(s.put(1, view(int64_t{-77})));
    p.run("baked");
    EXPECT_EQ(p.global<int64_t>("result"), 0);
    EXPECT_EQ(p.global<int64_t>("number_seen"), -77);
    EXPECT_EQ(p.global<uint32_t>("last_seen"), 1023u);
    EXPECT_EQ(p.global<point>("seen").x, 1u);
    EXPECT_EQ(p.global<point>("seen").z, 3u);
    EXPECT_EQ(value_of<point>(s, 2).x, 11u);
    EXPECT_EQ(value_of<point>(s, 2).y, 2u);
    EXPECT_EQ(value_of<point>(s, 3).x, 5u);
    EXPECT_EQ(value_of<uint8_t>(s, 0), 201);
    auto big = s.get(4, access::owner);
    ASSERT_OK(big);
    ASSERT_EQ(big->size(), 4096u);
    EXPECT_EQ((*big)[4095], 0x11);
    EXPECT_EQ((*big)[4087], 0);
}

TEST_F(Basic, ProgramThatNobodyBakedSeesDefaultsAndWritesNothing) {
    store s = make("keys");
    ASSERT_OK(s.put(1, view(int64_t{-77})));
    const bytes before = snapshot(s);
    program p(s, "keys", false);
    p.run("baked");
    EXPECT_EQ(p.global<int64_t>("number_seen"), -5);
    EXPECT_EQ(p.global<point>("seen").y, 2u);
    EXPECT_EQ(p.global<int64_t>("result"), -ENOENT);
    EXPECT_EQ(snapshot(s), before);
}

// Bakes what a load leaves in the frozen map: the verifier dropped the rest.
TEST_F(Basic, UnresolvedAccessIsRemovedByTheVerifier) {
    store s = make("keys");
    auto length = [](int fd) {
        bpf_prog_info info{};
        uint32_t size = sizeof(info);
        EXPECT_EQ(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
        return info.xlated_prog_len;
    };
    program baked(s, "keys");
    program plain(s, "keys", false);
    EXPECT_LT(length(plain.fd("baked")), length(baked.fd("baked")));
}

TEST_F(Basic, DynamicKeysFromBpf) {
    store s = make("keys");
    program p(s, "keys");
    for (uint32_t sync : {KV_SYNC_OWNER, KV_SYNC_SEQ}) {
        const uint32_t id = 100 + sync;
        ASSERT_OK(s.make(id, "", sync, view(point{7, 8, 9})));
        p.global<uint32_t>("key") = id;
        p.run("dynamic_get");
        EXPECT_EQ(p.global<int64_t>("result"), 0);
        EXPECT_EQ(p.global<point>("seen").z, 9u);
        p.global<point>("give") = {1, 2, 1000};
        p.run("dynamic_put");
        EXPECT_EQ(p.global<int64_t>("result"), 0);
        EXPECT_EQ(value_of<point>(s, id).z, 1000u);
    }
    // An ATOMIC value in two pieces would be torn.
    ASSERT_OK(s.make(150, "", KV_SYNC_ATOMIC, view(uint64_t{5})));
    p.global<uint32_t>("key") = 150;
    p.run("dynamic_halves");
    EXPECT_EQ(p.global<int64_t>("result"), -EINVAL);
    // Another size than the program says, no such key, beyond the last number.
    ASSERT_OK(s.make(200, "", KV_SYNC_OWNER, bytes(15, 1)));
    for (auto [id, error] :
         {std::pair{200u, -EMSGSIZE}, {201u, -ENOENT}, {1024u, -ENOENT}, {0xffffffffu, -ENOENT}}) {
        p.global<uint32_t>("key") = id;
        for (const char* name : {"dynamic_get", "dynamic_put"}) {
            p.run(name);
            EXPECT_EQ(p.global<int64_t>("result"), error) << id;
        }
    }
    EXPECT_REFUSED(s.get(1024), ENOENT, "1024");
}

TEST_F(Basic, AllNumbersUpTo1024) {
    store s = make("keys");
    program p(s, "keys");
    auto declared = s.describe();
    ASSERT_OK(declared);
    std::map<uint32_t, uint64_t> model;
    for (uint32_t id = 0; id < KV_KEYS_MAX; id++) {
        if (declared->find(id) != nullptr)
            continue;
        model[id] = id * 0x100000001ULL + 1;
        ASSERT_OK(s.make(id, fmt::format("key-{}", id), KV_SYNC_ATOMIC, view(model[id])));
    }
    EXPECT_EQ(model.size() + declared->keys.size(), 1024u);
    EXPECT_REFUSED(s.free_id(), ENOSPC, "1024");
    uint64_t sum = 0;
    for (const auto& [id, value] : model) {
        p.global<uint32_t>("key") = id;
        p.run("dynamic_word");
        ASSERT_EQ(p.global<int64_t>("result"), 0) << id;
        sum += value;
        ASSERT_EQ(p.global<uint64_t>("sum"), sum);
        ASSERT_EQ(value_of<uint64_t>(s, id), value);
        auto found = s.find(fmt::format("key-{}", id));
        ASSERT_OK(found);
        ASSERT_EQ(*found, id);
    }
    ASSERT_OK(verify(s));
}

TEST_F(Basic, NamesFromBpf) {
    store s = make("keys");
    program p(s, "keys");
    const std::string longest(KV_NAME_MAX - 1, 'n');
    ASSERT_OK(s.make(500, "a", KV_SYNC_OWNER, bytes(3, 1)));
    ASSERT_OK(s.make(501, longest, KV_SYNC_OWNER, bytes(3, 1)));
    EXPECT_EQ(s.make(502, longest + "n", KV_SYNC_OWNER, bytes(3, 1)).error().err, ENAMETOOLONG);
    EXPECT_EQ(s.make(502, "a", KV_SYNC_OWNER, bytes(3, 1)).error().err, EEXIST);
    auto find = [&](const std::string& name) {
        std::memset(&p.global<uint64_t>("name"), 0, KV_NAME_MAX);
        std::memcpy(&p.global<uint64_t>("name"), name.data(), name.size());
        p.run("dynamic_find");
        return p.global<int64_t>("found");
    };
    EXPECT_EQ(find("a"), 500);
    EXPECT_EQ(find(longest), 501);
    EXPECT_EQ(find("point"), 2);
    EXPECT_EQ(find("nobody"), -ENOENT);
    ASSERT_OK(s.remove(500));
    EXPECT_EQ(find("a"), -ENOENT);
    ASSERT_OK(s.make(503, "a", KV_SYNC_OWNER, bytes(3, 1)));
    EXPECT_EQ(find("a"), 503);
}

TEST_F(Basic, SizesFrom1To4096) {
    store s = make("keys");
    std::mt19937_64 random(1);
    for (uint32_t size : {1u, 2u, 3u, 7u, 8u, 9u, 511u, 4095u, 4096u})
        for (uint32_t sync : {KV_SYNC_OWNER, KV_SYNC_SEQ}) {
            bytes value(size);
            for (uint8_t& b : value)
                b = static_cast<uint8_t>(random());
            ASSERT_OK(s.make(300, "", sync, value));
            EXPECT_EQ(*s.get(300, access::owner), value);
            for (uint8_t& b : value)
                b = static_cast<uint8_t>(~b);
            ASSERT_OK(s.put(300, value, access::owner));
            EXPECT_EQ(*s.get(300, access::owner), value);
            EXPECT_REFUSED(s.put(300, bytes(size + 1), access::owner), EMSGSIZE, "bytes");
            ASSERT_OK(s.remove(300));
        }
    EXPECT_EQ(s.make(300, "", KV_SYNC_OWNER, bytes(4097)).error().err, EMSGSIZE);
    EXPECT_EQ(s.make(300, "", KV_SYNC_OWNER, bytes()).error().err, EMSGSIZE);
}

// A program reads a value all the while, and no page that is added moves it.
TEST_F(Basic, GrowsAPageAtATimeWhileAProgramRuns) {
    store s = make("keys");
    program p(s, "keys");
    ASSERT_OK(s.make(100, "", KV_SYNC_SEQ, view(point{7, 8, 9})));
    p.global<uint32_t>("key") = 100;
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> wrong{0};
    std::atomic<uint64_t> runs{0};
    std::thread reader([&] {
        while (!stop) {
            p.run("dynamic_get", 100);
            wrong += p.global<int64_t>("result") != 0 || p.global<point>("seen").z != 9;
            runs++;
        }
    });
    const uint32_t before = s.pages_used();
    uint32_t last = before;
    std::map<uint32_t, bytes> model;
    Status ok;
    for (uint32_t id = 101; id < 400; id++) {
        const bytes value(1000, static_cast<uint8_t>(id));
        ok = s.make(id, "", KV_SYNC_OWNER, value);
        if (!ok)
            break;
        model[id] = value;
        EXPECT_LE(s.pages_used(), last + 1);
        last = s.pages_used();
    }
    EXPECT_FALSE(ok);
    EXPECT_EQ(ok.error().err, ENOSPC);
    EXPECT_GE(last, before + 8);
    EXPECT_EQ(last, s.at().pages());
    for (const auto& [id, value] : model)
        EXPECT_EQ(*s.get(id, access::owner), value);
    // Deleting gives all of it back.
    for (const auto& [id, value] : model)
        ASSERT_OK(s.remove(id));
    ASSERT_OK(s.make(101, "", KV_SYNC_OWNER, bytes(8)));
    EXPECT_LE(s.pages_used(), before + 1);
    stop = true;
    reader.join();
    EXPECT_EQ(wrong, 0u);
    EXPECT_GT(runs, 0u);
}

TEST_F(Basic, DeletedByBpf) {
    store s = make("keys");
    program p(s, "keys");
    const bytes large(4096, 5);
    uint32_t made = 0;
    for (uint32_t id = 600; s.make(id, fmt::format("k{}", id), KV_SYNC_OWNER, large); id++)
        made++;
    ASSERT_GE(made, 2u);
    p.global<uint32_t>("key") = 600;
    p.run("dynamic_delete");
    EXPECT_EQ(p.global<int64_t>("result"), 0);
    EXPECT_REFUSED(s.get(600), ENOENT, "600");
    p.run("dynamic_delete");
    EXPECT_EQ(p.global<int64_t>("result"), -ENOENT);
    ASSERT_OK(s.make(700, "again", KV_SYNC_OWNER, large));  // in the space of 600
    EXPECT_EQ(*s.get(601, access::owner), large);
    // What the program declares is not deleted.
    p.global<uint32_t>("key") = 2;
    p.run("dynamic_delete");
    EXPECT_EQ(p.global<int64_t>("result"), -EPERM);
    EXPECT_REFUSED(s.remove(2), EPERM, "declared");
    ASSERT_OK(verify(s));
}

TEST_F(Basic, ResizeKeepsTheValue) {
    store s = make("keys");
    ASSERT_OK(s.make(300, "grows", KV_SYNC_SEQ, bytes{1, 2, 3}));
    ASSERT_OK(s.make(301, "neighbour", KV_SYNC_OWNER, bytes(8, 9)));
    ASSERT_OK(s.resize(300, 5));
    EXPECT_EQ(*s.get(300), (bytes{1, 2, 3, 0, 0}));
    ASSERT_OK(s.resize(300, 4096));
    ASSERT_OK(s.resize(300, 2));
    EXPECT_EQ(*s.get(300), (bytes{1, 2}));
    EXPECT_EQ(*s.get(301), bytes(8, 9));
    EXPECT_EQ(*s.find("grows"), 300);
}

TEST_F(Basic, OwnedValuesAreNotReadTorn) {
    store s = make("keys");
    EXPECT_REFUSED(s.get(3), EBUSY, "owner");
    EXPECT_REFUSED(s.put(3, view(point{1, 2, 3})), EBUSY, "");
    {
        auto pause = s.shut_gate();
        ASSERT_OK(pause);
        EXPECT_OK(s.get(3));
        EXPECT_OK(s.put(3, view(point{1, 2, 3})));
        program p(s, "keys");
    }
    EXPECT_REFUSED(s.get(3), EBUSY, "owner");
    EXPECT_EQ(value_of<point>(s, 3).z, 3u);
}

TEST_F(Basic, SurvivesItsMakerAndKeepsItsManifest) {
    {
        store s = make("flow_v1");
        struct {
            uint32_t rate, burst;
        } limits{55, 66};
        ASSERT_OK(s.put(2, view(limits)));
    }
    auto s = store::open(pin("store"));
    ASSERT_OK(s);
    auto m = s->describe();
    ASSERT_OK(m);
    EXPECT_EQ(m->program, "flow");
    EXPECT_EQ(m->version, 1u);
    const key_entry* limits = m->find("limits");
    ASSERT_NE(limits, nullptr);
    EXPECT_EQ(to_json(m->type(*limits), *s->get(2)), (nlohmann::json{{"rate", 55}, {"burst", 66}}));
    EXPECT_EQ(to_json(m->type(*limits), limits->initial),
              (nlohmann::json{{"rate", 100}, {"burst", 10}}));
    const key_entry* sample = m->find("sample");
    ASSERT_NE(sample, nullptr);
    EXPECT_TRUE(sample->ranged);
    EXPECT_EQ(sample->max, 1000);
    EXPECT_EQ(m->find("scratch")->persist, static_cast<uint32_t>(KV_PERSIST_RESET));
}

TEST_F(Basic, ExportAndImport) {
    store s = make("flow_v1");
    struct {
        uint32_t rate, burst;
    } limits{55, 66};
    ASSERT_OK(s.put(2, view(limits)));
    ASSERT_OK(s.put(3, view(uint32_t{33}), access::owner));
    ASSERT_OK(s.make(50, "dyn", KV_SYNC_OWNER, bytes{1, 2, 3}));
    auto out = export_store(s, access::owner);
    ASSERT_OK(out);
    const auto text = nlohmann::json::parse(out->dump());

    store same = make("flow_v1", "same");
    ASSERT_OK(import_store(same, text, {}, access::owner));
    for (uint32_t id : {1u, 2u, 3u, 4u, 50u})
        EXPECT_EQ(*same.get(id, access::owner), *s.get(id, access::owner)) << id;
    EXPECT_EQ(*same.find("dyn"), 50);

    // Into another version: what needs its program's converter is refused.
    store newer = make("flow_v2", "newer");
    const bytes before = snapshot(newer);
    EXPECT_REFUSED(import_store(newer, text, {}, access::owner), ENOTSUP, "to_ms");
    EXPECT_EQ(snapshot(newer), before);

    // What is refused changes nothing: not one value is written before.
    auto refused = [&](store& to, const nlohmann::json& what, access who, int error,
                       const char* said) {
        const bytes whole = snapshot(to);
        EXPECT_REFUSED(import_store(to, what, {}, who), error, said);
        EXPECT_EQ(snapshot(to), whole);
    };
    refused(same, text, access::outside, EBUSY, "owner");
    store other = make("flow_v1", "other");
    ASSERT_OK(other.make(50, "dyn", KV_SYNC_OWNER, bytes(4)));
    refused(other, text, access::owner, EEXIST, "50");
    store named = make("flow_v1", "named");
    ASSERT_OK(named.make(51, "dyn", KV_SYNC_OWNER, bytes(4)));
    refused(named, text, access::owner, EEXIST, "called dyn");
    {
        auto pause = same.shut_gate();
        ASSERT_OK(pause);
        EXPECT_OK(import_store(same, text, {}, access::outside));
    }

    auto damaged = text;
    damaged["keys"][1]["id"] = 65537;
    refused(same, damaged, access::owner, EBADMSG, "id");
    damaged = text;
    damaged["keys"][1]["raw"] = "00";
    EXPECT_EQ(import_store(same, damaged, {}, access::owner).error().err, EMSGSIZE);
    damaged = text;
    damaged.erase("types");
    EXPECT_REFUSED(import_store(same, damaged, {}, access::owner), EBADMSG, "damaged");
}

TEST_F(Basic, ImportThatDoesNotFitTakesItsKeysBack) {
    store s = make("flow_v1");
    for (uint32_t id = 100; id < 106; id++)
        ASSERT_OK(s.make(id, "", KV_SYNC_OWNER, bytes(4096, static_cast<uint8_t>(id))));
    ASSERT_OK(s.put(1, view(uint64_t{77})));
    auto out = export_store(s, access::owner);
    ASSERT_OK(out);
    store full = make("flow_v1", "full");
    for (uint32_t id = 200; id < 204; id++)
        ASSERT_OK(full.make(id, "", KV_SYNC_OWNER, bytes(4096, static_cast<uint8_t>(id))));
    EXPECT_REFUSED(import_store(full, *out, {}, access::owner), ENOSPC, "4096 bytes");
    EXPECT_EQ(value_of<uint64_t>(full, 1), 0u);
    EXPECT_EQ(full.describe()->find(100), nullptr);
    for (uint32_t id = 200; id < 204; id++)
        EXPECT_EQ(*full.get(id, access::owner), bytes(4096, static_cast<uint8_t>(id)));
    ASSERT_OK(verify(full));
}

TEST_F(Basic, CompactClosesGaps) {
    store s = make("keys");
    for (uint32_t id = 100; id < 130; id++)
        ASSERT_OK(s.make(id, fmt::format("k{}", id), KV_SYNC_OWNER,
                         bytes(900, static_cast<uint8_t>(id))));
    for (uint32_t id = 100; id < 130; id++)
        if (id % 3 != 0) {
            ASSERT_OK(s.remove(id));
        }
    EXPECT_GT(fragmentation(s), 30u);
    const uint32_t before = s.pages_used();
    bpf_host host(pin("store"), load_object("keys"), {}, s.at());
    ASSERT_OK(compact(s, host, {}));
    EXPECT_EQ(fragmentation(s), 0u);
    EXPECT_LT(s.pages_used(), before);
    for (uint32_t id = 102; id < 130; id += 3)
        EXPECT_EQ(*s.get(id, access::owner), bytes(900, static_cast<uint8_t>(id)));
    EXPECT_EQ(value_of<point>(s, 2).z, 3u);
    program p(s, "keys");
    p.run("baked");
    EXPECT_EQ(p.global<int64_t>("result"), 0);
    ASSERT_OK(verify(s));
}

}  // namespace
}  // namespace rr::store

extern "C" int api_from_c(const char* object, const char* pin);

namespace rr::store {
namespace {

TEST_F(Basic, InterfaceOfC) {
    EXPECT_EQ(
        api_from_c((std::string(RR_STORE_OBJECTS) + "/flow_v1.bpf.o").c_str(), pin("c").c_str()),
        0);
}

}  // namespace
}  // namespace rr::store
