// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "helpers.h"

#include <bpf/bpf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace rr::store {

uint64_t test_seed = 0;
bool test_long = false;

std::string missing_feature() {
    if (::geteuid() != 0)
        return "needs root";
    btf* kernel = btf__load_vmlinux_btf();
    if (kernel == nullptr)
        return "the kernel has no BTF";
    btf__free(kernel);
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
    Fd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "probe", 4, 4096, 1, &options));
    if (!map)
        return fmt::format("cannot make BPF maps: {}", std::strerror(errno));
    const std::string path = fmt::format("/sys/fs/bpf/rr_probe_{}", ::getpid());
    if (bpf_obj_pin(map.get(), path.c_str()) != 0)
        return fmt::format("cannot pin in /sys/fs/bpf: {}", std::strerror(errno));
    ::unlink(path.c_str());
    return {};
}

std::string missing_uptr() {
    btf* kernel = btf__load_vmlinux_btf();
    bool has = false;
    if (kernel != nullptr)
        for (uint32_t id = 1; id < btf__type_cnt(kernel) && !has; id++) {
            const btf_type* t = btf__type_by_id(kernel, id);
            if (!btf_is_enum(t))
                continue;
            for (uint32_t i = 0; i < btf_vlen(t) && !has; i++)
                has = std::strcmp(btf__name_by_offset(kernel, btf_enum(t)[i].name_off),
                                  "BPF_UPTR") == 0;
        }
    btf__free(kernel);
    return has ? "" : "the kernel has no uptr in task storage (Linux 6.13)";
}

bytes load_object(const std::string& name) {
    auto file = read_file(std::string(RR_STORE_OBJECTS) + "/" + name + ".bpf.o");
    EXPECT_TRUE(file) << (file ? "" : describe(file.error()));
    return file ? *file : bytes{};
}

manifest object_manifest(const std::string& name) {
    auto m = manifest_of_object(load_object(name));
    EXPECT_TRUE(m) << (m ? "" : describe(m.error()));
    return m ? *m : manifest{};
}

program::program(const store& in, const std::string& name, bool baked, int tasks)
    : object_(nullptr, bpf_object__close) {
    bytes file = load_object(name);
    if (baked) {
        auto done = bake_for(in, file);
        EXPECT_TRUE(done) << (done ? "" : describe(done.error()));
        if (!done)
            return;
        file = *done;
    }
    object_.reset(bpf_object__open_mem(file.data(), file.size(), nullptr));
    EXPECT_TRUE(object_);
    bpf_map* map = bpf_object__find_map_by_name(object_.get(), KV_SECTION_AREA);
    EXPECT_EQ(bpf_map__reuse_fd(map, in.at().fd()), 0);
    if (tasks >= 0) {
        map = bpf_object__find_map_by_name(object_.get(), KV_MAP_TASKS);
        EXPECT_EQ(bpf_map__reuse_fd(map, tasks), 0);
    }
    EXPECT_EQ(bpf_object__load(object_.get()), 0);
}

int program::fd(const std::string& name) const {
    bpf_program* p = bpf_object__find_program_by_name(object_.get(), name.c_str());
    return p == nullptr ? -1 : bpf_program__fd(p);
}

int program::map_fd(const std::string& name) const {
    bpf_map* m = bpf_object__find_map_by_name(object_.get(), name.c_str());
    return m == nullptr ? -1 : bpf_map__fd(m);
}

int program::run(const std::string& name, uint32_t repeat) const {
    uint8_t packet[64] = {};
    bpf_program* p = bpf_object__find_program_by_name(object_.get(), name.c_str());
    const bool syscall = p != nullptr && bpf_program__type(p) == BPF_PROG_TYPE_SYSCALL;
    LIBBPF_OPTS(bpf_test_run_opts, plain);
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet),
                .repeat = static_cast<int>(repeat));
    bpf_test_run_opts* use = syscall ? &plain : &opts;
    const int r = bpf_prog_test_run_opts(fd(name), use);
    EXPECT_EQ(r, 0) << name;
    return static_cast<int>(use->retval);
}

void* program::variable(const std::string& name) const {
    const btf* types = bpf_object__btf(object_.get());
    bpf_map* map;
    bpf_object__for_each_map(map, object_.get()) {
        std::string section = bpf_map__name(map);
        if (const size_t dot = section.find('.'); dot == std::string::npos)
            continue;
        else
            section = section.substr(dot);
        if (section != ".bss" && section != ".data")
            continue;
        const int id = btf__find_by_name_kind(types, section.c_str(), BTF_KIND_DATASEC);
        const btf_type* sec = btf__type_by_id(types, static_cast<uint32_t>(id));
        size_t size = 0;
        auto* base = static_cast<uint8_t*>(bpf_map__initial_value(map, &size));
        for (uint32_t i = 0; sec != nullptr && i < btf_vlen(sec); i++) {
            const btf_var_secinfo& info = btf_var_secinfos(sec)[i];
            const btf_type* var = btf__type_by_id(types, info.type);
            if (name == btf__name_by_offset(types, var->name_off))
                return base + info.offset;
        }
    }
    ADD_FAILURE() << "no variable " << name;
    static uint64_t none[64];
    return none;
}

void StoreTest::SetUp() {
    if (const std::string reason = missing_feature(); !reason.empty())
        GTEST_SKIP() << reason;
    dir_ = fmt::format("/sys/fs/bpf/rr_store_{}", ::getpid());
    std::filesystem::remove_all(dir_);
    ASSERT_EQ(::mkdir(dir_.c_str(), 0700), 0);
}

void StoreTest::TearDown() {
    std::error_code ignored;
    if (!dir_.empty())
        std::filesystem::remove_all(dir_, ignored);
}

std::vector<std::string> StoreTest::pins() const {
    std::vector<std::string> out;
    for (const auto& e : std::filesystem::directory_iterator(dir_))
        out.push_back(e.path().filename().string());
    std::sort(out.begin(), out.end());
    return out;
}

store StoreTest::make(const std::string& object, const std::string& name) const {
    auto made = store::create(object_manifest(object), pin(name));
    EXPECT_TRUE(made) << (made ? "" : describe(made.error()));
    return std::move(*made);
}

uint32_t type_maker::number(uint32_t size, bool is_signed) {
    uint32_t& id = numbers_[{size, is_signed}];
    if (id == 0)
        id = static_cast<uint32_t>(
            btf__add_int(btf_.get(), fmt::format("{}{}", is_signed ? "s" : "u", size * 8).c_str(),
                         size, is_signed ? BTF_INT_SIGNED : 0));
    return id;
}

uint32_t type_maker::structure(const std::string& name, const std::vector<field>& fields) {
    uint32_t at = 0;
    uint32_t align = 1;
    std::vector<uint32_t> offsets;
    for (const field& f : fields) {
        const auto a = static_cast<uint32_t>(btf__align_of(btf_.get(), f.type));
        align = std::max(align, a);
        at = (at + a - 1) / a * a;
        offsets.push_back(at);
        at += static_cast<uint32_t>(btf__resolve_size(btf_.get(), f.type));
    }
    const int id = btf__add_struct(btf_.get(), name.c_str(), (at + align - 1) / align * align);
    for (size_t i = 0; i < fields.size(); i++)
        btf__add_field(btf_.get(), fields[i].name.c_str(), static_cast<int>(fields[i].type),
                       offsets[i] * 8, 0);
    for (size_t i = 0; i < fields.size(); i++)
        if (!fields[i].was.empty())
            btf__add_decl_tag(btf_.get(), ("kv.was=" + fields[i].was).c_str(), id,
                              static_cast<int>(i));
    return static_cast<uint32_t>(id);
}

uint32_t type_maker::array(uint32_t type, uint32_t elements) {
    return static_cast<uint32_t>(btf__add_array(btf_.get(), static_cast<int>(number(4, false)),
                                                static_cast<int>(type), elements));
}

key_entry make_key(manifest& m, type_maker& types, uint16_t id, const std::string& name,
                   uint32_t type, uint32_t sync) {
    key_entry k;
    k.id = id;
    k.name = name;
    k.sync = sync;
    auto added = m.types.add({types.get(), type});
    EXPECT_TRUE(added) << (added ? "" : describe(added.error()));
    k.type_id = added ? *added : 0;
    k.size = type_size(m.types.at(k.type_id));
    k.hash = type_hash(m.types.at(k.type_id));
    k.initial.assign(k.size, 0);
    return k;
}

}  // namespace rr::store
