// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// store_bench [--json]: nanoseconds per access, by BPF_PROG_TEST_RUN, and the
// time to load a program; all in one run, so that the lines can be compared.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "store/bpf_host.h"
#include "store/task.h"

namespace {

using namespace rr;

constexpr unsigned ops = 32;  // as in access.bpf.c
constexpr unsigned rounds = 7;
constexpr int repeat = 20000;

using object_ptr = std::unique_ptr<bpf_object, void (*)(bpf_object*)>;

template <typename T>
T must(Result<T> result) {
    if (result)
        return std::move(*result);
    fmt::print(stderr, "store_bench: {}\n", describe(result.error()));
    std::exit(1);
}

void must(bool good, const char* what) {
    if (good)
        return;
    fmt::print(stderr, "store_bench: {}: {}\n", what, std::strerror(errno));
    std::exit(1);
}

double now_ns() {
    return static_cast<double>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

store::bytes object_file(const char* name) {
    return must(store::read_file(fmt::format("{}/{}.bpf.o", RR_BENCH_OBJECTS, name)));
}

object_ptr open_with(const store::store& in, const store::bytes& file) {
    object_ptr object(bpf_object__open_mem(file.data(), file.size(), nullptr), bpf_object__close);
    must(object != nullptr, "opening the object");
    bpf_map* map = bpf_object__find_map_by_name(object.get(), KV_SECTION_AREA);
    must(map != nullptr && bpf_map__reuse_fd(map, in.at().fd()) == 0, "the store's map");
    return object;
}

int map_fd(const object_ptr& object, const char* name) {
    return bpf_object__find_map_fd_by_name(object.get(), name);
}

// Nanoseconds of one run of the program: the best of several rounds.
double run(const object_ptr& object, const char* name) {
    bpf_program* p = bpf_object__find_program_by_name(object.get(), name);
    must(p != nullptr, name);
    uint8_t packet[64] = {};
    double best = 1e18;
    for (unsigned i = 0; i < rounds; i++) {
        LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = packet, .data_size_in = sizeof(packet),
                    .repeat = repeat);
        must(bpf_prog_test_run_opts(bpf_program__fd(p), &o) == 0 && o.retval == 0, name);
        best = std::min(best, static_cast<double>(o.duration));
    }
    return best;
}

// The pages that the RFC's and task local data's programs look into.
void lend_pages(const object_ptr& object) {
    auto* pages = static_cast<uint8_t*>(::mmap(nullptr, 3 * 4096, PROT_READ | PROT_WRITE,
                                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
    must(pages != MAP_FAILED, "memory");
    // rfc_meta[5]: offset 40, 8 bytes, in use.
    const uint32_t meta = 40U | 8U << 12 | 1U << 24;
    std::memcpy(pages + 5 * sizeof(meta), &meta, sizeof(meta));
    const int self = static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0));
    const uint64_t rfc[2] = {reinterpret_cast<uint64_t>(pages),
                             reinterpret_cast<uint64_t>(pages + 4096)};
    const uint64_t tld[1] = {reinterpret_cast<uint64_t>(pages + 8192)};
    const int32_t cache[8] = {64};
    must(bpf_map_update_elem(map_fd(object, "rfc"), &self, rfc, BPF_ANY) == 0, "rfc");
    must(bpf_map_update_elem(map_fd(object, "tld"), &self, tld, BPF_ANY) == 0, "tld");
    must(bpf_map_update_elem(map_fd(object, "tld_cache"), &self, cache, BPF_ANY) == 0, "tld_cache");
}

void fill_maps(const object_ptr& object) {
    const uint64_t value = 1;
    for (uint32_t key = 0; key < 16; key++)
        must(bpf_map_update_elem(map_fd(object, "hash"), &key, &value, BPF_ANY) == 0, "hash");
    char text[32] = "some-key-with-a-name";
    must(bpf_map_update_elem(map_fd(object, "named"), text, &value, BPF_ANY) == 0, "named");
}

// Median of several loads, milliseconds.
double load_ms(const std::function<object_ptr()>& open) {
    std::vector<double> times;
    for (int i = 0; i < 15; i++) {
        const double start = now_ns();
        object_ptr object = open();
        must(bpf_object__load(object.get()) == 0, "loading");
        times.push_back((now_ns() - start) / 1e6);
    }
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
}

struct line {
    const char* title;
    const char* get;
    const char* put;
};

const line lines[] = {
    {"plain global variable", "global_get", "global_put"},
    {"baked key, one word", "baked_get", "baked_put"},
    {"plain global, atomic add", nullptr, "global_add"},
    {"baked key, atomic add", nullptr, "baked_add"},
    {"baked key, SEQ, 16 bytes", "seq_get", "seq_put"},
    {"dynamic key by number", "number_get", "number_put"},
    {"dynamic key by name", "name_get", nullptr},
    {"array map", "array_get", "array_put"},
    {"hash map, 4-byte key", "hash_get", "hash_put"},
    {"hash map, 32-byte key", "hash_name_get", nullptr},
    {"task key, lookup each time", "task_get", nullptr},
    {"task key, lookup once a run", "task_get_once", nullptr},
    {"RFC, lookup each time", "rfc_get", "rfc_put"},
    {"RFC, lookup once a run", "rfc_get_once", nullptr},
    {"task local data, lookup each time", "tld_get", "tld_put"},
    {"task local data, lookup once a run", "tld_get_once", nullptr},
};

}  // namespace

int main(int argc, char** argv) {
    const bool json = argc > 1 && std::strcmp(argv[1], "--json") == 0;
    libbpf_set_print([](libbpf_print_level, const char*, va_list) { return 0; });
    const store::bytes file = object_file("access");
    auto in = must(store::store::create(must(store::manifest_of_object(file)), ""));
    const uint64_t one = 1;
    if (Status ok = in.make(100, "some-key-with-a-name", KV_SYNC_ATOMIC,
                            {reinterpret_cast<const uint8_t*>(&one), sizeof(one)});
        !ok)
        must(false, ok.error().what.c_str());
    object_ptr object = open_with(in, must(store::bake_for(in, file)));
    must(bpf_object__load(object.get()) == 0, "loading");
    lend_pages(object);
    fill_maps(object);
    auto task = must(store::task_values::join(in, map_fd(object, KV_MAP_TASKS)));
    bpf_map* bss = bpf_object__find_map_by_name(object.get(), ".bss");
    size_t bss_size = 0;
    auto* memory =
        static_cast<uint8_t*>(bss == nullptr ? nullptr : bpf_map__initial_value(bss, &bss_size));
    const btf* types = bpf_object__btf(object.get());
    const int section = btf__find_by_name_kind(types, ".bss", BTF_KIND_DATASEC);
    must(memory != nullptr && section > 0, ".bss");
    const btf_type* sec = btf__type_by_id(types, static_cast<uint32_t>(section));
    for (uint32_t i = 0; i < btf_vlen(sec); i++) {
        const btf_var_secinfo& info = btf_var_secinfos(sec)[i];
        const btf_type* var = btf__type_by_id(types, info.type);
        if (std::strcmp(btf__name_by_offset(types, var->name_off), "dynamic_name") == 0)
            std::memcpy(memory + info.offset, "some-key-with-a-name", 20);
    }

    nlohmann::json out = nlohmann::json::array();
    const double empty = run(object, "empty");
    auto cost = [&](const char* name) { return std::max(0.0, run(object, name) - empty) / ops; };
    if (!json)
        fmt::print("{:<36} {:>8} {:>8}   ns per access\n", "", "get", "put");
    for (const line& l : lines) {
        const double get = l.get == nullptr ? -1 : cost(l.get);
        const double put = l.put == nullptr ? -1 : cost(l.put);
        auto cell = [](double v) { return v < 0 ? std::string("-") : fmt::format("{:.2f}", v); };
        if (!json)
            fmt::print("{:<36} {:>8} {:>8}\n", l.title, cell(get), cell(put));
        out.push_back({{"method", l.title}, {"get_ns", get}, {"put_ns", put}});
    }

    const store::bytes loaded = object_file("load");
    const store::bytes plain = object_file("load_plain");
    auto load_store = must(store::store::create(must(store::manifest_of_object(loaded)), ""));
    const double plain_ms = load_ms([&] {
        return object_ptr(bpf_object__open_mem(plain.data(), plain.size(), nullptr),
                          bpf_object__close);
    });
    const double baked_ms =
        load_ms([&] { return open_with(load_store, must(store::bake_for(load_store, loaded))); });
    if (json) {
        fmt::print("{}\n", nlohmann::json{{"schema", 1},
                                          {"access", out},
                                          {"load_plain_ms", plain_ms},
                                          {"load_baked_ms", baked_ms}}
                               .dump(2));
        return 0;
    }
    fmt::print("\nopen and load, 64 values              plain {:.2f} ms, baked {:.2f} ms\n",
               plain_ms, baked_ms);
    return 0;
}
