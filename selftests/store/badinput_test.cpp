// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What is wrong is refused with a sentence and a hint; the store stays as it is.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "helpers.h"

namespace rr::store {
namespace {

class BadInput : public StoreTest {
protected:
    // Applies an edit, opens the store, expects a refusal, takes the edit back.
    template <typename Edit>
    void refused(store& s, int error, const char* text, Edit edit) {
        const bytes good = snapshot(s);
        edit(s);
        const bytes bad = snapshot(s);
        auto opened = store::open(pin("store"));
        if (opened) {
            EXPECT_REFUSED(opened->describe(), error, text);
            no_programs host;
            EXPECT_FALSE(apply(*opened, object_manifest("flow_v2"), host, {}));
            EXPECT_FALSE(verify(*opened));
        } else {
            EXPECT_REFUSED(opened, error, text);
        }
        EXPECT_EQ(snapshot(s), bad);
        std::memcpy(s.at().bytes_at(0), good.data(), good.size());
    }
};

TEST_F(BadInput, Header) {
    store s = make("flow_v1");
    auto header = [](store& in) -> kv_header& { return in.at().header(); };
    refused(s, EBADMSG, "does not hold", [&](store& in) { header(in).magic ^= 1; });
    refused(s, ENODATA, "nobody made one",
            [&](store& in) { std::memset(&header(in), 0, sizeof(kv_header)); });
    refused(s, EPROTONOSUPPORT, "format 2", [&](store& in) { header(in).abi = 2; });
    refused(s, EBADMSG, "header", [&](store& in) { header(in).pages = 4; });
    refused(s, EBADMSG, "header", [&](store& in) { header(in).program[0] = 'x'; });
    refused(s, EBADMSG, "does not exist", [&](store& in) { header(in).state |= 0xff; });
    ASSERT_OK(verify(s));
}

TEST_F(BadInput, Bank) {
    store s = make("flow_v1");
    auto& bank = s.at().bank(0);
    refused(s, EBADMSG, "overlap", [&](store&) {
        bank.dir[3] = kv_meta(kv_meta_offset(bank.dir[2]) + 8, 4, KV_SYNC_OWNER, KV_HOME_ARRAY);
    });
    refused(s, EBADMSG, "outside", [&](store& in) {
        bank.dir[3] = kv_meta(static_cast<uint32_t>(in.at().size()) - 4, 4, 0, 0);
    });
    refused(s, EBADMSG, "outside", [&](store&) { bank.dir[3] = kv_meta(8, 4, 0, 0); });
    refused(s, EBADMSG, "bytes",
            [&](store&) { bank.dir[3] = kv_meta(kv_meta_offset(bank.dir[3]), 5000, 0, 0); });
    refused(s, EBADMSG, "type", [&](store&) { bank.entry[3].type_id = 1 << 20; });
    refused(s, EBADMSG, "type of key", [&](store&) { bank.entry[3].type_hash ^= 1; });
    refused(s, EBADMSG, "types", [&](store&) { std::memset(bank.types, 0xff, 64); });
    refused(s, EBADMSG, "types",
            [&](store& in) { in.at().header().bank[0].types_bytes = KV_TYPES_BYTES + 1; });
    refused(s, EBADMSG, "manifest", [&](store&) { bank.entry[3].max = 5000; });
    refused(s, EBADMSG, "manifest", [&](store&) { bank.dir[3] = 0; });
    refused(s, EBADMSG, "default", [&](store&) { bank.entry[3].default_at = 4; });
    ASSERT_OK(verify(s));
}

// A journal that names files of the system: none of them is touched.
TEST_F(BadInput, JournalOfSomebodyElse) {
    store s = make("flow_v1");
    const std::string victim = fmt::format("/tmp/rr_victim_{}", ::getpid());
    for (const char* end : {"_next", "_old", "_new"})
        Fd(::open((victim + end).c_str(), O_CREAT | O_WRONLY, 0600));
    kv_header& h = s.at().header();
    h.links = 1;
    std::memcpy(h.link[0].pin, victim.c_str(), victim.size() + 1);
    for (uint32_t phase : {KV_APPLY_SWAP, KV_COMMIT, KV_ROLLBACK_CLEAN}) {
        s.at().set_state(phase, 0, 1);
        bpf_host host(pin("store"));
        EXPECT_REFUSED(recover(s, host), EBADMSG, "journal");
    }
    for (const char* end : {"_next", "_old", "_new"})
        EXPECT_EQ(::unlink((victim + end).c_str()), 0) << end;
    EXPECT_NE(::access(victim.c_str(), F_OK), 0);
}

// Whatever is written over the metadata: an answer, not a crash.
TEST_F(BadInput, RandomDamage) {
    store s = make("flow_v1");
    const bytes good = snapshot(s);
    std::mt19937_64 random(test_seed);
    SCOPED_TRACE(fmt::format("replay with --seed {}", test_seed));
    int noticed = 0;
    const int rounds = test_long ? 20000 : 1500;
    const size_t interesting[] = {sizeof(kv_header), offsetof(kv_area, bank[0].dir) + 128,
                                  offsetof(kv_area, bank[0].entry) + 10 * sizeof(kv_entry),
                                  offsetof(kv_area, bank[0].types) + 1024};
    const size_t starts[] = {0, offsetof(kv_area, bank[0].dir), offsetof(kv_area, bank[0].entry),
                             offsetof(kv_area, bank[0].types)};
    for (int i = 0; i < rounds; i++) {
        for (uint64_t n = 0; n < 1 + random() % 3; n++) {
            const size_t part = random() % 4;
            const size_t at = starts[part] + random() % (interesting[part] - starts[part]);
            *s.at().bytes_at(at) = static_cast<uint8_t>(random());
        }
        auto opened = store::open(pin("store"));
        bool ok = opened.has_value();
        if (ok) {
            auto m = opened->describe();
            ok = m.has_value();
            if (ok)
                for (const key_entry& k : m->keys)
                    (void)value_json(*m, k,
                                     opened->get(k.id, access::racy).value_or(bytes(k.size)));
            (void)verify(*opened);
            (void)export_store(*opened, access::racy);
            for (uint32_t id = 0; id < 16; id++) {
                (void)opened->get(id, access::racy);
                (void)opened->put(id, bytes(4), access::owner);
            }
        }
        noticed += !ok;
        std::memcpy(s.at().bytes_at(0), good.data(), good.size());
    }
    EXPECT_GT(noticed, rounds / 10);
    ASSERT_OK(verify(s));
}

TEST_F(BadInput, Manifests) {
    const manifest good = object_manifest("flow_v1");
    auto refuse = [&](int error, const char* text, auto edit) {
        manifest m = good;
        edit(m);
        auto made = store::create(m, pin("bad"));
        ASSERT_FALSE(made) << text;
        EXPECT_EQ(made.error().err, error) << describe(made.error());
        EXPECT_NE(made.error().what.find(text), std::string::npos) << describe(made.error());
        EXPECT_FALSE(made.error().hint.empty()) << describe(made.error());
        EXPECT_TRUE(pins().empty());
    };
    refuse(EEXIST, "number", [](manifest& m) { m.keys[1].id = m.keys[0].id; });
    refuse(EEXIST, "called", [](manifest& m) { m.keys[1].name = m.keys[0].name; });
    refuse(EINVAL, "1023", [](manifest& m) { m.keys[1].id = 1024; });
    refuse(EMSGSIZE, "4096", [](manifest& m) { m.keys[1].size = 4097; });
    refuse(EMSGSIZE, "0 bytes", [](manifest& m) { m.keys[1].size = 0; });
    refuse(EINVAL, "program", [](manifest& m) { m.program.clear(); });
    refuse(EINVAL, "pages", [](manifest& m) { m.pages = KV_PAGES_MAX + 1; });
    refuse(ERANGE, "default", [](manifest& m) { m.keys[2].min = 100; });
    refuse(EINVAL, "atomic", [](manifest& m) {
        m.keys[1].sync = KV_SYNC_ATOMIC;
        m.keys[1].size = 8;
        m.keys[1].initial.resize(8);
        m.keys[1].size = 3;
        m.keys[1].initial.resize(3);
    });
    refuse(EBADMSG, "type", [](manifest& m) { m.keys[1].hash ^= 1; });
    refuse(ENOSPC, "pages", [](manifest& m) {
        type_maker types;
        const uint32_t large = types.array(types.number(8, false), 512);
        for (uint16_t i = 0; i < 8; i++)
            m.keys.push_back(make_key(m, types, static_cast<uint16_t>(100 + i),
                                      fmt::format("l{}", i), large, KV_SYNC_OWNER));
        m.types.forget_sources();
    });
}

TEST_F(BadInput, OtherProgramsAndVersions) {
    store s = make("flow_v1");
    const bytes before = snapshot(s);
    no_programs host;
    EXPECT_REFUSED(apply(s, object_manifest("keys"), host, {}), EINVAL,
                   "belongs to the program flow");
    EXPECT_REFUSED(plan(s, object_manifest("keys"), nullptr, {}), EINVAL,
                   "belongs to the program flow");
    EXPECT_REFUSED(bake_for(s, load_object("keys")), EINVAL, "belongs to the program flow");
    EXPECT_REFUSED(bake_for(s, load_object("flow_v2")), EINVAL, "version 2");
    EXPECT_REFUSED(apply(s, object_manifest("flow_v1"), host, {}), EALREADY, "already");
    manifest liar = object_manifest("flow_v2");
    liar.version = 1;
    EXPECT_REFUSED(apply(s, liar, host, {}), EINVAL, "version 1");
    // A plan says the same.
    EXPECT_REFUSED(plan(s, liar, nullptr, {}), EINVAL, "version 1");
    EXPECT_REFUSED(plan(s, object_manifest("flow_v1"), nullptr, {}), EALREADY, "already");
    // Nobody would run a converter in the tasks.
    manifest tasks = object_manifest("flow_v1");
    tasks.keys[2].home = KV_HOME_TASK;
    tasks.keys[2].up = "f";
    EXPECT_REFUSED(check_manifest(tasks), EINVAL, "converter");
    // v3 without v2 in between: nobody explains what happened to the names.
    EXPECT_REFUSED(apply(s, object_manifest("flow_v3"), host, {}), EINVAL, "lose or guess");
    EXPECT_REFUSED(rollback(s, host, {}), EINVAL, "nothing to roll back");
    EXPECT_REFUSED(commit(s, host), EINVAL, "nothing to commit");
    EXPECT_REFUSED(store::create(object_manifest("flow_v1"), pin("store")), EEXIST, "pin");
    EXPECT_EQ(snapshot(s), before);
}

TEST_F(BadInput, OtherFilesAndMaps) {
    EXPECT_REFUSED(manifest_of_object(bytes(100, 7)), EINVAL, "not a BPF object");
    EXPECT_REFUSED(manifest_of_object(bytes()), EINVAL, "not a BPF object");
    const bytes whole = load_object("flow_v1");
    std::mt19937_64 random(test_seed);
    SCOPED_TRACE(fmt::format("replay with --seed {}", test_seed));
    for (int i = 0; i < 200; i++) {
        bytes cut(whole.begin(),
                  whole.begin() + static_cast<std::ptrdiff_t>(random() % whole.size()));
        EXPECT_FALSE(manifest_of_object(cut));
    }
    // A table of names that says it has no contents, and lies anywhere.
    bytes odd = whole;
    uint64_t sections = 0;
    uint16_t names = 0;
    std::memcpy(&sections, odd.data() + 0x28, sizeof(sections));
    std::memcpy(&names, odd.data() + 0x3e, sizeof(names));
    const uint64_t at = sections + names * uint64_t{64};
    const uint32_t nobits = 8;
    const uint64_t far = 1ULL << 40;
    std::memcpy(odd.data() + at + 4, &nobits, sizeof(nobits));
    std::memcpy(odd.data() + at + 0x18, &far, sizeof(far));
    EXPECT_FALSE(manifest_of_object(odd));
    Fd hash(bpf_map_create(BPF_MAP_TYPE_HASH, "other", 4, 4, 1, nullptr));
    EXPECT_REFUSED(area::from_fd(std::move(hash)), EINVAL, "not a KV store");
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
    Fd empty(
        bpf_map_create(BPF_MAP_TYPE_ARRAY, "other", 4, sizeof(kv_area) + 2 * KV_PAGE, 1, &options));
    EXPECT_REFUSED(area::from_fd(std::move(empty)), ENODATA, "nobody made one");
    Fd frozen(
        bpf_map_create(BPF_MAP_TYPE_ARRAY, "other", 4, sizeof(kv_area) + 2 * KV_PAGE, 1, &options));
    ASSERT_EQ(bpf_map_freeze(frozen.get()), 0);
    EXPECT_REFUSED(area::from_fd(std::move(frozen)), EPERM, "cannot map");
    // One that may only be read: exported, and nothing else.
    store s = make("flow_v1");
    auto reader = store::open(pin("store"), true);
    ASSERT_OK(reader);
    EXPECT_OK(export_store(*reader, access::owner));
    EXPECT_REFUSED(reader->put(1, view(uint64_t{1})), EROFS, "reading");
    EXPECT_REFUSED(reader->make(100, "", KV_SYNC_OWNER, bytes(4)), EROFS, "reading");
    EXPECT_REFUSED(reader->remove(100), EROFS, "reading");
    EXPECT_REFUSED(reader->resize(100, 8), EROFS, "reading");
    EXPECT_REFUSED(reader->shut_gate(), EROFS, "reading");
    no_programs host;
    EXPECT_REFUSED(apply(*reader, object_manifest("flow_v2"), host, {}), EROFS, "reading");
    EXPECT_REFUSED(recover(*reader, host), EROFS, "reading");
    EXPECT_REFUSED(store::open(pin("nothing")), ENOENT, "nothing");
}

TEST_F(BadInput, WithoutPermission) {
    store s = make("flow_v1");
    int channel[2];
    ASSERT_EQ(::pipe(channel), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        std::string text = "privileges were kept";
        if (::setgroups(0, nullptr) == 0 && ::setgid(65534) == 0 && ::setuid(65534) == 0) {
            auto opened = store::open(pin("store"));
            text = opened ? "it opened" : opened.error().what + "|" + opened.error().hint;
        }
        (void)!::write(channel[1], text.data(), text.size());
        ::_exit(0);
    }
    char text[512] = {};
    ::close(channel[1]);
    (void)!::read(channel[0], text, sizeof(text) - 1);
    ::close(channel[0]);
    ::waitpid(child, nullptr, 0);
    EXPECT_NE(std::string(text).find("cannot open the store"), std::string::npos) << text;
    EXPECT_NE(std::string(text).find("root"), std::string::npos) << text;
}

// A map that only one program may use (Linux 6.18): said so, not just EACCES.
TEST_F(BadInput, ExclusiveMap) {
    struct {  // union bpf_attr up to excl_prog_hash_size, of newer headers
        uint32_t map_type, key_size, value_size, max_entries, map_flags, inner_map_fd, numa_node;
        char map_name[16];
        uint32_t map_ifindex, btf_fd, btf_key_type_id, btf_value_type_id, btf_vmlinux_value_type_id;
        uint64_t map_extra;
        int32_t value_type_btf_obj_fd, map_token_fd;
        uint64_t excl_prog_hash;
        uint32_t excl_prog_hash_size;
    } attr{};
    const uint8_t hash[32] = {1, 2, 3};
    attr.map_type = BPF_MAP_TYPE_ARRAY;
    attr.key_size = 4;
    attr.value_size = static_cast<uint32_t>(KV_AREA_BYTES(KV_PAGES_DEFAULT));
    attr.max_entries = 1;
    attr.map_flags = BPF_F_MMAPABLE;
    attr.excl_prog_hash = reinterpret_cast<uint64_t>(hash);
    attr.excl_prog_hash_size = sizeof(hash);
    Fd map(static_cast<int>(::syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr))));
    if (!map)
        GTEST_SKIP() << "the kernel has no exclusive maps (Linux 6.18)";
    // A store as the program's own loader would make one in there.
    store s = make("flow_v1");
    void* to = ::mmap(nullptr, s.at().size(), PROT_READ | PROT_WRITE, MAP_SHARED, map.get(), 0);
    ASSERT_NE(to, MAP_FAILED);
    std::memcpy(to, s.at().bytes_at(0), s.at().size());
    ::munmap(to, s.at().size());
    auto opened = area::from_fd(std::move(map));
    ASSERT_OK(opened);
    store in(std::move(*opened));
    const bytes before = snapshot(in);
    bpf_host host(pin("store"), load_object("flow_v2"), {}, in.at());
    auto done = apply(in, object_manifest("flow_v2"), host, {});
    ASSERT_FALSE(done);
    EXPECT_NE(done.error().hint.find("export and import"), std::string::npos) << done.error().hint;
    EXPECT_EQ(snapshot(in), before);
    EXPECT_OK(export_store(in, access::owner));
}

TEST_F(BadInput, Values) {
    store s = make("flow_v1");
    EXPECT_REFUSED(s.put(1, bytes(4)), EMSGSIZE, "8 bytes");
    EXPECT_REFUSED(s.put(3, view(uint32_t{0}), access::owner), ERANGE, "1 to 1000");
    EXPECT_REFUSED(s.put(3, view(uint32_t{1001}), access::owner), ERANGE, "1 to 1000");
    EXPECT_REFUSED(s.put(3, view(~0U), access::owner), ERANGE, "1 to 1000");
    EXPECT_REFUSED(s.put(777, bytes(4)), ENOENT, "777");
    auto m = s.describe();
    ASSERT_OK(m);
    const key_entry* k = m->find("limits");
    bytes value(k->size);
    EXPECT_EQ(from_json(m->type(*k), {{"rate", -1}}, value).error().err, ERANGE);
    EXPECT_EQ(from_json(m->type(*k), {{"rate", 1ULL << 32}}, value).error().err, ERANGE);
    EXPECT_EQ(from_json(m->type(*k), {{"speed", 1}}, value).error().err, EINVAL);
    EXPECT_EQ(from_json(m->type(*k), 5, value).error().err, EINVAL);
    EXPECT_EQ(from_json(m->type(*k), {{"rate", "x"}}, value).error().err, EINVAL);
}

TEST_F(BadInput, OneChangeAtATime) {
    store s = make("flow_v1");
    auto lock = store_lock::take(s.at());
    ASSERT_OK(lock);
    auto other = store::open(pin("store"));
    ASSERT_OK(other);
    no_programs host;
    EXPECT_REFUSED(other->make(100, "", KV_SYNC_OWNER, bytes(4)), EBUSY, "being changed");
    EXPECT_REFUSED(apply(*other, object_manifest("flow_v2"), host, {}), EBUSY, "being changed");
    EXPECT_OK(other->put(1, view(uint64_t{5})));  // values need no lock
}

// Whoever pauses programs is alone with them: nobody else opens the gate, is
// let in by it, or finds it shut for ever.
TEST_F(BadInput, OnePauseAtATime) {
    store s = make("flow_v1");
    auto other = store::open(pin("store"));
    ASSERT_OK(other);
    no_programs host;
    {
        auto pause = s.shut_gate();
        ASSERT_OK(pause);
        EXPECT_EQ(s.at().header().gate, 0u);
        EXPECT_OK(s.put(3, view(uint32_t{5})));
        EXPECT_OK(s.make(100, "", KV_SYNC_OWNER, bytes(12)));
        EXPECT_OK(s.get(100));
        EXPECT_REFUSED(other->shut_gate(), EBUSY, "being changed");
        EXPECT_REFUSED(apply(*other, object_manifest("flow_v2"), host, {}), EBUSY, "being changed");
        EXPECT_REFUSED(recover(*other, host), EBUSY, "being changed");
        // The gate is shut, but not by this one: the value could be torn.
        EXPECT_REFUSED(other->get(100), EBUSY, "owner");
        EXPECT_REFUSED(other->put(3, view(uint32_t{6})), EBUSY, "owner");
    }
    EXPECT_EQ(s.at().header().gate, 1u);
    EXPECT_REFUSED(s.get(100), EBUSY, "owner");
    bpf_host newer(pin("store"), load_object("flow_v2"), {}, other->at());
    ASSERT_OK(apply(*other, object_manifest("flow_v2"), newer, {}));
    {
        auto pause = s.shut_gate();
        ASSERT_OK(pause);
    }
    EXPECT_EQ(s.at().header().gate, kv_state_generation(s.at().state()));
    // A pause that is killed leaves the gate shut; the next one, and recover, open it.
    for (const bool by_recover : {false, true}) {
        const pid_t child = ::fork();
        if (child == 0) {
            auto pause = s.shut_gate();
            ::kill(::getpid(), SIGKILL);
        }
        ::waitpid(child, nullptr, 0);
        EXPECT_EQ(s.at().header().gate, 0u);
        if (by_recover) {
            ASSERT_OK(recover(*other, host));
        } else {
            ASSERT_OK(other->shut_gate());
        }
        EXPECT_EQ(s.at().header().gate, kv_state_generation(s.at().state()));
    }
    // Cut off in the middle: the gate is recover's.
    s.at().set_state(KV_APPLY_CONVERT, 0, 1);
    EXPECT_REFUSED(s.shut_gate(), EBUSY, "cut off");
    EXPECT_REFUSED(s.make(101, "", KV_SYNC_OWNER, bytes(4)), EBUSY, "cut off");
    EXPECT_REFUSED(s.remove(100), EBUSY, "cut off");
    EXPECT_REFUSED(s.put(1, view(uint64_t{1})), EBUSY, "cut off");
}

}  // namespace
}  // namespace rr::store
