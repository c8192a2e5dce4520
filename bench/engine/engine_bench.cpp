// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// engine_bench: nanoseconds of the engine per request, by kind; as C, and JIT
// compiled in the running kernel with and without its XOR. Then XOR by itself,
// beside AVX2 and memcpy, and row locks with and without contention.
//
// Member I/O takes no time here: what is measured is what the engine adds.
// --benchmark_format=json for the raw data. Needs root, no ublk and no disks.
#include <benchmark/benchmark.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bench/native.h"
#include "engine/layout.h"

extern "C" {
#include "engine/host.h"
}

namespace {

using namespace rr;

constexpr uint64_t arena_address = uint64_t{1} << 44;
constexpr uint32_t chunk_sectors = 128;
constexpr uint32_t requests_per_call = 2000;  // so that the call itself does not count

[[noreturn]] void give_up(const char* what) {
    std::fprintf(stderr, "engine_bench: %s: %s\n", what, std::strerror(errno));
    std::exit(1);
}

arena_layout layout_of(uint32_t members) {
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

// The arena as a BPF map at the engine's address, with a program to run on it.
class bpf_engine {
public:
    bpf_engine(const char* object, uint32_t members) : layout_(layout_of(members)) {
        layout_.header.user_base = arena_address;
        object_ = bpf_object__open_file(object, nullptr);
        if (object_ == nullptr)
            give_up(object);
        bpf_map* map = bpf_object__find_map_by_name(object_, "bench_arena");
        bpf_map__set_max_entries(map, static_cast<uint32_t>((layout_.bytes + 4095) / 4096));
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
constexpr kind kinds[] = {
    {"read_4k", RR_OP_READ, 8, 0},           {"read_64k", RR_OP_READ, 128, 0},
    {"read_4k_lost", RR_OP_READ, 8, 1},      {"write_4k_rmw", RR_OP_WRITE, 8, 0},
    {"write_192k_rcw", RR_OP_WRITE, 384, 0}, {"write_stripe", RR_OP_WRITE, 512, 0},
    {"write_4k_lost", RR_OP_WRITE, 8, 1},    {"flush", RR_OP_FLUSH, 0, 0},
};
constexpr uint32_t bench_members = 5;

// Degraded kinds stay on the lost member's blocks: one chunk in the first stripe.
bench_run run_of(const kind& k) {
    bench_run run{};
    run.op = k.op;
    run.sectors = k.sectors;
    run.requests = k.sectors > 128 ? requests_per_call / 20 : requests_per_call;
    run.stride = k.sectors;
    run.span = k.missing != 0 || k.sectors >= 384 ? k.sectors : 512 * 8;
    return run;
}

void report(benchmark::State& state, const bench_run& run, rr_array* array) {
    const rr_queue* q = rr_host_queue(array, run.queue);
    if (q->last_error != 0 || q->open != 0)
        state.SkipWithError("a request was not answered, or with an error");
    const auto all = static_cast<double>(state.iterations()) * run.requests;
    state.counters["per_request"] =
        benchmark::Counter(all, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
    state.counters["actions"] = static_cast<double>(q->count.sqes) / all;
}

void requests_bpf(benchmark::State& state, const char* object, const kind& k) {
    bpf_engine engine(object, bench_members);
    engine.reset(k.missing);
    bench_run run = run_of(k);
    for (auto _ : state)
        engine.call("bench_requests", run);
    report(state, run, engine.array());
}

void requests_native(benchmark::State& state, const kind& k) {
    native_engine engine(bench_members);
    engine.reset(k.missing);
    bench_run run = run_of(k);
    for (auto _ : state)
        bench_native_requests(engine.array(), &run);
    report(state, run, engine.array());
}

// Two queues on two processors, on the same rows or on others.
void locks_bpf(benchmark::State& state, bool same_rows) {
    bpf_engine engine(RR_ENGINE_OBJECTS "/no_xor.bpf.o", bench_members);
    bench_run mine = run_of(kinds[3]);
    bench_run theirs = mine;
    mine.span = theirs.span = 8;
    theirs.queue = 1;
    theirs.first_sector = same_rows ? 0 : 4096;
    std::atomic<bool> stop = false;
    std::thread other([&] {
        while (!stop)
            engine.call("bench_requests", theirs);
    });
    for (auto _ : state)
        engine.call("bench_requests", mine);
    stop = true;
    other.join();
    report(state, mine, engine.array());
}

// The way in (a request becomes member I/O) and the way out (from there to the
// answer) apart, of requests in a stripe each.
void split_bpf(benchmark::State& state, const kind& k) {
    bpf_engine engine(RR_ENGINE_OBJECTS "/no_xor.bpf.o", bench_members);
    bench_split_run run{};
    run.op = k.op;
    run.sectors = k.sectors;
    run.stride = chunk_sectors * (bench_members - 1);
    run.rounds = 1 + requests_per_call / BENCH_BATCH / (k.sectors > 128 ? 20 : 1);
    double start_ns = 0, finish_ns = 0, all = 0;
    for (auto _ : state) {
        engine.call("bench_split", run);
        start_ns += static_cast<double>(run.start_ns);
        finish_ns += static_cast<double>(run.finish_ns);
        all += run.rounds * static_cast<double>(BENCH_BATCH);
    }
    const rr_queue* q = rr_host_queue(engine.array(), 0);
    if (q->last_error != 0 || q->open != 0)
        state.SkipWithError("a request was not answered");
    state.counters["start_ns"] = start_ns / all;
    state.counters["finish_ns"] = finish_ns / all;
}

constexpr uint32_t xor_rounds = 200;

void report_xor(benchmark::State& state) {
    const auto sources = static_cast<double>(state.range(0));
    const auto bytes = static_cast<double>(state.range(1));
    state.counters["source_bytes"] =
        benchmark::Counter(static_cast<double>(state.iterations()) * xor_rounds * sources * bytes,
                           benchmark::Counter::kIsRate);
}

bench_xor_run xor_of(const benchmark::State& state) {
    return {static_cast<rr_u32>(state.range(0)), static_cast<rr_u32>(state.range(1) / 512),
            xor_rounds, 0};
}

void xor_bpf(benchmark::State& state) {
    bpf_engine engine(RR_ENGINE_OBJECTS "/engine.bpf.o", 9);
    bench_xor_run run = xor_of(state);
    for (auto _ : state)
        engine.call("bench_xor", run);
    report_xor(state);
}

void xor_native(benchmark::State& state) {
    native_engine engine(9);
    bench_xor_run run = xor_of(state);
    for (auto _ : state)
        bench_native_xor(engine.array(), &run);
    report_xor(state);
}

void xor_avx2(benchmark::State& state) {
    if (!__builtin_cpu_supports("avx2"))
        return state.SkipWithError("this processor has no AVX2");
    const auto count = static_cast<unsigned>(state.range(0));
    const auto bytes = static_cast<size_t>(state.range(1));
    std::vector<void*> memory;
    for (unsigned i = 0; i <= count; i++) {
        memory.push_back(std::aligned_alloc(4096, bytes));
        std::memset(memory.back(), static_cast<int>(i), bytes);
    }
    for (auto _ : state) {
        for (uint32_t i = 0; i < xor_rounds; i++) {
            bench_avx2_xor(memory[count], memory.data(), count, bytes);
            benchmark::ClobberMemory();
        }
    }
    for (void* m : memory)
        std::free(m);
    report_xor(state);
}

// What memory allows: one source, copied.
void copy_native(benchmark::State& state) {
    const auto bytes = static_cast<size_t>(state.range(1));
    std::vector<uint8_t> from(bytes, 1), to(bytes);
    for (auto _ : state) {
        for (uint32_t i = 0; i < xor_rounds; i++) {
            std::memcpy(to.data(), from.data(), bytes);
            benchmark::ClobberMemory();
        }
    }
    report_xor(state);
}

void add_all() {
    for (const kind& k : kinds) {
        const std::string name = k.name;
        benchmark::RegisterBenchmark(("bpf/" + name).c_str(), [&k](benchmark::State& s) {
            requests_bpf(s, RR_ENGINE_OBJECTS "/engine.bpf.o", k);
        });
        benchmark::RegisterBenchmark(("bpf_no_xor/" + name).c_str(), [&k](benchmark::State& s) {
            requests_bpf(s, RR_ENGINE_OBJECTS "/no_xor.bpf.o", k);
        });
        benchmark::RegisterBenchmark(("native/" + name).c_str(),
                                     [&k](benchmark::State& s) { requests_native(s, k); });
    }
    for (const kind& k : kinds) {
        if (k.missing == 0 && k.sectors != 0)
            benchmark::RegisterBenchmark((std::string("split/") + k.name).c_str(),
                                         [&k](benchmark::State& s) { split_bpf(s, k); });
    }
    benchmark::RegisterBenchmark("lock/other_rows", locks_bpf, false)->UseRealTime();
    benchmark::RegisterBenchmark("lock/same_rows", locks_bpf, true)->UseRealTime();
    for (const int64_t bytes : {4096, 16384, 65536}) {
        for (const int64_t sources : {2, 3, 4, 8}) {
            benchmark::RegisterBenchmark("xor_bpf", xor_bpf)->Args({sources, bytes});
            benchmark::RegisterBenchmark("xor_native", xor_native)->Args({sources, bytes});
            benchmark::RegisterBenchmark("xor_avx2", xor_avx2)->Args({sources, bytes});
        }
        benchmark::RegisterBenchmark("memcpy", copy_native)->Args({1, bytes});
    }
}

}  // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 2;
    add_all();
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
