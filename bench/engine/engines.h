// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The engine under the benchmarks, as C and as a BPF program, and the kinds of
// requests that are put to it: for times (engine_bench) and for instructions
// (engine_count).
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench/native.h"
#include "engine/layout.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {

inline constexpr uint64_t arena_address = uint64_t{1} << 44;
inline constexpr uint32_t chunk_sectors = 128;
inline constexpr uint32_t requests_per_call = 2000;  // so that the call itself does not count

[[noreturn]] inline void give_up(const char* what) {
    std::fprintf(stderr, "%s: %s\n", what, std::strerror(errno));
    std::exit(1);
}

inline arena_layout layout_of(uint32_t members) {
    array_config c;
    c.members = members;
    c.chunk_sectors = chunk_sectors;
    c.queues = 2;
    c.depth = BENCH_BATCH;
    c.slots = BENCH_BATCH;
    c.member_sectors = uint64_t{chunk_sectors} * 64;
    auto layout = plan_layout(c);
    if (!layout)
        give_up("layout");
    return *layout;
}

// The arena as a BPF map at the engine's address, with a program to run on it: @only that
// one of the object, where it is named.
class bpf_engine {
public:
    bpf_engine(const char* object, uint32_t members, const char* only = nullptr)
        : layout_(layout_of(members)) {
        layout_.header.user_base = arena_address;
        object_ = bpf_object__open_file(object, nullptr);
        if (object_ == nullptr)
            give_up(object);
        bpf_map* map = bpf_object__find_map_by_name(object_, "bench_arena");
        bpf_map__set_max_entries(map, static_cast<uint32_t>((layout_.bytes + 4095) / 4096));
        bpf_program* program = nullptr;
        bpf_object__for_each_program(program, object_) {
            if (only != nullptr && std::strcmp(bpf_program__name(program), only) != 0)
                bpf_program__set_autoload(program, false);
        }
        if (bpf_object__load(object_) != 0)
            give_up("loading the engine (root? a kernel with BPF arenas?)");
        size_t bytes = 0;
        memory_ = static_cast<std::byte*>(bpf_map__initial_value(map, &bytes));
        if (memory_ == nullptr)
            give_up("the arena");
        reset(0);
    }
    ~bpf_engine() { bpf_object__close(object_); }
    bpf_engine(const bpf_engine&) = delete;
    bpf_engine& operator=(const bpf_engine&) = delete;

    void reset(uint32_t missing) { init_arena({memory_, layout_.bytes}, layout_, missing); }

    rr_array* array() { return reinterpret_cast<rr_array*>(memory_); }

    template <typename Run>
    void call(const char* program, Run& run) {
        bpf_program* p = bpf_object__find_program_by_name(object_, program);
        // A syscall program's changes come back to where its context was.
        LIBBPF_OPTS(bpf_test_run_opts, o, .ctx_in = &run, .ctx_size_in = sizeof(run));
        if (bpf_prog_test_run_opts(bpf_program__fd(p), &o) != 0)
            give_up(program);
    }

private:
    arena_layout layout_;
    bpf_object* object_ = nullptr;
    std::byte* memory_ = nullptr;
};

class native_engine {
public:
    explicit native_engine(uint32_t members) : layout_(layout_of(members)) {
        memory_ = static_cast<std::byte*>(std::aligned_alloc(4096, layout_.bytes));
        reset(0);
    }
    ~native_engine() { std::free(memory_); }
    native_engine(const native_engine&) = delete;
    native_engine& operator=(const native_engine&) = delete;

    void reset(uint32_t missing) { init_arena({memory_, layout_.bytes}, layout_, missing); }
    rr_array* array() { return reinterpret_cast<rr_array*>(memory_); }

private:
    arena_layout layout_;
    std::byte* memory_;
};

struct kind {
    const char* name;
    uint32_t op;
    uint32_t sectors;
    uint32_t missing;  // mask of roles
};

// Five members: for 4 KiB md's rule says read-modify-write.
inline constexpr kind kinds[] = {
    {"read_4k", RR_OP_READ, 8, 0},           {"read_64k", RR_OP_READ, 128, 0},
    {"read_4k_lost", RR_OP_READ, 8, 1},      {"write_4k_rmw", RR_OP_WRITE, 8, 0},
    {"write_192k_rcw", RR_OP_WRITE, 384, 0}, {"write_stripe", RR_OP_WRITE, 512, 0},
    {"write_4k_lost", RR_OP_WRITE, 8, 1},    {"flush", RR_OP_FLUSH, 0, 0},
};
inline constexpr uint32_t bench_members = 5;

// Degraded kinds stay on the lost member's blocks: one chunk in the first stripe.
inline bench_run run_of(const kind& k) {
    bench_run run{};
    run.op = k.op;
    run.sectors = k.sectors;
    run.requests = k.sectors > 128 ? requests_per_call / 20 : requests_per_call;
    run.stride = k.sectors;
    run.span = k.missing != 0 || k.sectors >= 384 ? k.sectors : 512 * 8;
    return run;
}

}  // namespace rr
