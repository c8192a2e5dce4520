// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// engine_count: the requests of engine_bench in windows of bench/tools/count.c,
// to be run in the VM: how many instructions the engine takes for one, as C and
// JIT-compiled.
//
//   engine_count OBJECTS OUT
//
// OUT/counts.jsonl gets a line for each window, in their order; OUT/symbols-N the
// symbols of the BPF programs and modules that were loaded during window N. What
// else runs in a window has other addresses, and is left out by figure.py.
#include <fstream>
#include <iostream>
#include <string>

#include "../tools/mark.h"
#include "engines.h"

namespace {

using namespace rr;

std::string out_directory;
int windows = 0;

void save_symbols() {
    std::ifstream all("/proc/kallsyms");
    std::ofstream mine(out_directory + "/symbols-" + std::to_string(windows));
    for (std::string line; std::getline(all, line);) {
        if (line.ends_with(']'))
            mine << line << '\n';
    }
}

void check(rr_array* array) {
    const rr_queue* q = rr_host_queue(array, 0);
    if (q->last_error == 0 && q->open == 0)
        return;
    std::cerr << "engine_count: a request was not answered, or with an error\n";
    std::exit(1);
}

// The first call is not counted: it meets the arena's pages for the first time.
template <typename Call>
void window(const char* host, const kind& k, rr_array* array, Call call) {
    bench_run run = run_of(k);
    run.requests = k.sectors > 128 ? 20 : 200;  // emulated, and as exact as more
    call(run);
    save_symbols();
    __asm__ volatile(MARK_BEGIN ::: "memory");
    call(run);
    __asm__ volatile(MARK_END ::: "memory");
    check(array);
    std::ofstream(out_directory + "/counts.jsonl", std::ios::app)
        << R"({"host": ")" << host << R"(", "kind": ")" << k.name << R"(", "requests": )"
        << run.requests << R"(, "window": )" << windows++ << "}\n";
}

void count_bpf(const char* host, const std::string& object, const kind& k) {
    bpf_engine engine(object.c_str(), bench_members);
    engine.reset(k.missing);
    window(host, k, engine.array(), [&](bench_run& run) { engine.call("bench_requests", run); });
}

void count_native(const kind& k) {
    native_engine engine(bench_members);
    engine.reset(k.missing);
    window("native", k, engine.array(),
           [&](bench_run& run) { bench_native_requests(engine.array(), &run); });
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: engine_count OBJECTS OUT\n";
        return 2;
    }
    const std::string objects = argv[1];
    out_directory = argv[2];
    for (const kind& k : kinds) {
        count_bpf("bpf", objects + "/engine.bpf.o", k);
        count_bpf("bpf_no_xor", objects + "/no_xor.bpf.o", k);
        count_native(k);
    }
    return 0;
}
