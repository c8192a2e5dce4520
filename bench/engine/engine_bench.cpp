// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// engine_bench: nanoseconds of the engine per request, by kind; as C, and JIT
// compiled in the running kernel with and without its XOR. Then XOR by itself,
// beside AVX2 and memcpy, and row locks with and without contention.
//
// Member I/O takes no time here: what is measured is what the engine adds.
// --benchmark_format=json for the raw data. Needs root, no ublk and no disks.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "engines.h"

namespace {

using namespace rr;

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

// What it costs to time requests, so many of which come and go in one turn; 0: not timed.
template <typename Engine, typename Call>
void latency(benchmark::State& state, Engine& engine, Call call) {
    bench_latency_run run{static_cast<rr_u32>(std::max<int64_t>(state.range(0), 1)), 2000};
    engine.array()->latency_on = state.range(0) != 0;
    for (auto _ : state)
        call(run);
    state.counters["per_request"] =
        benchmark::Counter(static_cast<double>(state.iterations()) * run.rounds * run.batch,
                           benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void latency_bpf(benchmark::State& state) {
    bpf_engine engine(RR_ENGINE_OBJECTS "/no_xor.bpf.o", bench_members, "bench_latency");
    latency(state, engine, [&](bench_latency_run& run) { engine.call("bench_latency", run); });
}

void latency_native(benchmark::State& state) {
    native_engine engine(bench_members);
    latency(state, engine,
            [&](bench_latency_run& run) { bench_native_latency(engine.array(), &run); });
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
    for (const int64_t a_turn : {0, 1, 4, 16, 32}) {
        benchmark::RegisterBenchmark("latency_bpf", latency_bpf)->Arg(a_turn);
        benchmark::RegisterBenchmark("latency_native", latency_native)->Arg(a_turn);
    }
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
