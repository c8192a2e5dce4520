// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// xor_bench OBJECT HOW SOURCES,... BYTES,... REPEATS: XOR of so many sources of
// so many bytes, each way, as lines of JSON.
//
//   counted  in a ring's wait loop, a window of count.c around each measurement
//   timed    in a ring's wait loop, nanoseconds
//   native   what needs no ring and no kernel function, nanoseconds
//
// After each measurement every buffer is compared with what it must hold. The
// first window is an empty one: what a window costs by itself.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <liburing.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "../tools/mark.h"
#include "bench/native.h"
#include "bench/xor_job.h"

namespace {

constexpr uint64_t measured_ns = 10'000'000;  // what is shorter is repeated
constexpr uint32_t rounds_max = 32768;        // for longer, BPF would look at its clock
constexpr uint32_t counted_bytes = 256 << 10;

[[noreturn]] void give_up(const std::string& what, int error) {
    std::fprintf(stderr, "xor_bench: %s%s%s\n", what.c_str(), error != 0 ? ": " : "",
                 error != 0 ? std::strerror(error) : "");
    std::exit(1);
}

void must(bool good, const char* what) {
    if (!good)
        give_up(what, errno);
}

// libbpf's and liburing's.
void must_not_fail(int result, const char* what) {
    if (result < 0)
        give_up(what, -result);
}

uint64_t now_ns() {
    return static_cast<uint64_t>(
        std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

enum : unsigned { counted = 1, timed = 2, native = 4 };

// Beside the BPF program's, what the processor does in user space.
enum processor_way : uint32_t {
    AVX2 = 100,       // the sum of the stable buffers
    AVX2_COPY = 101,  // memcpy of each client, then as AVX2
    AVX2_FUSED = 102  // the same page by page
};

struct way {
    const char* name;
    uint32_t number;  // enum xor_way, or processor_way
    bool copies;      // the clients' content into the stable buffers
    unsigned where;
};

constexpr way ways[] = {
    {"loop", XOR_LOOP, false, counted | timed | native},
    {"loop_copy", XOR_LOOP_COPY, true, counted | timed | native},
    {"kfunc", XOR_KFUNC, false, counted | timed},
    {"kfunc_copy", XOR_KFUNC_COPY, true, counted | timed},
    {"fused", XOR_FUSED, true, counted | timed},
    {"avx2", AVX2, false, timed | native},
    {"avx2_copy", AVX2_COPY, true, native},
    {"avx2_fused", AVX2_FUSED, true, native},
};

struct point {
    uint32_t sources;
    uint32_t bytes;
};

// Word @at of source @source. Nothing that is measured knows it.
uint64_t pattern(uint32_t source, uint32_t at) {
    uint64_t x = ((uint64_t{source} + 1) << 40 | at) * 0x9e3779b97f4a7c15;
    return x ^ x >> 29;
}

constexpr uint64_t junk = 0x0123456789abcdef;

// The buffers of a measurement.
class memory {
public:
    explicit memory(std::byte* arena) : arena_(arena) {
        // Small pages: a client's are not always large.
        const size_t size = size_t{XOR_SOURCES_MAX} * XOR_BYTES_MAX;
        void* all =
            ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        must(all != MAP_FAILED, "memory");
        must(::madvise(all, size, MADV_NOHUGEPAGE) == 0 || errno == EINVAL, "small pages");
        clients_ = static_cast<std::byte*>(all);
        // Neither side may ever fault a page in.
        for (size_t at = 0; at < XOR_ARENA_BYTES; at += 4096)
            arena_[at] = std::byte{0};
        for (size_t at = 0; at < size; at += 4096)
            clients_[at] = std::byte{0};
    }

    xor_job* job() const { return reinterpret_cast<xor_job*>(arena_); }
    uint64_t* cell(uint32_t number, uint32_t bytes) const {
        return reinterpret_cast<uint64_t*>(arena_ + xor_cell(number, bytes));
    }
    uint64_t* client(uint32_t source) const {
        return reinterpret_cast<uint64_t*>(clients_ + size_t{source} * XOR_BYTES_MAX);
    }
    std::byte* arena() const { return arena_; }

    // Before: the sources have their content, what is to be written has not.
    void prepare(const way& w, const point& p) const {
        const uint32_t words = p.bytes / 8;
        for (uint32_t i = 0; i < words; i++)
            cell(XOR_CELL_SUM, p.bytes)[i] = junk;
        for (uint32_t s = 0; s < p.sources; s++) {
            uint64_t* stable = cell(XOR_CELL_STABLE + s, p.bytes);
            uint64_t* near = cell(XOR_CELL_CLIENT + s, p.bytes);
            uint64_t* far = client(s);
            for (uint32_t i = 0; i < words; i++) {
                near[i] = far[i] = pattern(s, i);
                stable[i] = w.copies ? junk : near[i];
            }
        }
    }

    // After: words that are not what they must be, in any buffer.
    uint64_t wrong(const point& p) const {
        uint64_t bad = 0;
        for (uint32_t i = 0; i < p.bytes / 8; i++) {
            uint64_t sum = 0;
            for (uint32_t s = 0; s < p.sources; s++) {
                const uint64_t is = pattern(s, i);
                sum ^= is;
                bad += cell(XOR_CELL_STABLE + s, p.bytes)[i] != is;
                bad += cell(XOR_CELL_CLIENT + s, p.bytes)[i] != is || client(s)[i] != is;
            }
            bad += cell(XOR_CELL_SUM, p.bytes)[i] != sum;
        }
        return bad;
    }

private:
    std::byte* arena_;
    std::byte* clients_ = nullptr;
};

// The BPF object: in a ring's wait loop, or to be test-run.
class program {
public:
    program(const char* path, bool in_ring) : in_ring_(in_ring) {
        object_ = bpf_object__open_file(path, nullptr);
        must(object_ != nullptr, path);
        bpf_map* ops = bpf_object__find_map_by_name(object_, "xor_ops");
        bpf_program* step = bpf_object__find_program_by_name(object_, "xor_loop_step");
        loops_ = bpf_object__find_program_by_name(object_, "xor_loops");
        must(ops != nullptr && step != nullptr && loops_ != nullptr, "the object's programs");
        bpf_program__set_autoload(in_ring ? loops_ : step, false);
        if (in_ring)
            make_ring(ops);
        else
            bpf_map__set_autocreate(ops, false);
        must_not_fail(bpf_object__load(object_), "loading the program (root? the kernel?)");
        if (in_ring)
            must(bpf_map__attach_struct_ops(ops) != nullptr, "attaching the program");
    }

    std::byte* arena() const {
        size_t bytes = 0;  // of variables in it, of which there are none
        void* at =
            bpf_map__initial_value(bpf_object__find_map_by_name(object_, "xor_arena"), &bytes);
        must(at != nullptr, "the arena");
        return static_cast<std::byte*>(at);
    }

    // As the engine's rings: the clients' buffers, then the arena.
    void add_buffers(const memory& m) {
        std::array<iovec, XOR_SOURCES_MAX + 1> all{};
        for (uint32_t s = 0; s < XOR_SOURCES_MAX; s++)
            all[s] = {m.client(s), XOR_BYTES_MAX};
        all[XOR_BUFFER_ARENA] = {m.arena(), XOR_ARENA_BYTES};
        must_not_fail(io_uring_register_buffers(&ring_, all.data(), all.size()), "the buffers");
    }

    void run() {
        int r;
        if (in_ring_) {
            do
                r = io_uring_enter(static_cast<unsigned>(ring_.ring_fd), 0, 0, 0, nullptr);
            while (r == -EINTR);
        } else {
            LIBBPF_OPTS(bpf_test_run_opts, o);
            r = bpf_prog_test_run_opts(bpf_program__fd(loops_), &o);
        }
        must_not_fail(r, "running the program");
    }

private:
    void make_ring(bpf_map* ops) {
        struct ops_value {
            void* loop_step;
            uint32_t ring_fd;
        };
        io_uring_params params{};
        params.flags = IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER |
                       IORING_SETUP_NO_SQARRAY | IORING_SETUP_SUBMIT_ALL;
        must_not_fail(io_uring_queue_init_params(8, &ring_, &params), "a ring");
        size_t bytes = 0;
        auto* value = static_cast<ops_value*>(bpf_map__initial_value(ops, &bytes));
        must(value != nullptr && bytes >= sizeof(*value), "the program's ring");
        value->ring_fd = static_cast<uint32_t>(ring_.ring_fd);
    }

    bool in_ring_;
    bpf_object* object_ = nullptr;
    bpf_program* loops_ = nullptr;
    io_uring ring_{};
};

class bench {
public:
    bench(const char* object, unsigned where)
        : where_(where), program_(object, where != native), memory_(program_.arena()) {
        if (where != native)
            program_.add_buffers(memory_);
    }

    // What a window holds when nothing is done in it. The first of all is no measure.
    void empty() {
        const point p{2, 4096};
        set(ways[0], p, 0);
        run(ways[0], p, 0);
        window(ways[0], p, 0);
        std::printf("{\"way\": \"empty\", \"sources\": 0, \"bytes\": 0, \"rounds\": 0}\n");
    }

    void measure(const way& w, const point& p) {
        if (!(w.where & where_))
            return;
        memory_.prepare(w, p);
        uint32_t rounds = where_ == counted ? std::max(1U, counted_bytes / p.bytes) : 1;
        uint64_t ns = 0;
        if (where_ == counted)
            window(w, p, rounds);
        else
            ns = long_enough(w, p, rounds);
        check(w, p, rounds);
        std::printf("{\"way\": \"%s\", \"sources\": %u, \"bytes\": %u, \"rounds\": %u", w.name,
                    p.sources, p.bytes, rounds);
        if (where_ != counted)
            std::printf(", \"ns\": %llu", static_cast<unsigned long long>(ns));
        std::printf("}\n");
    }

private:
    void set(const way& w, const point& p, uint32_t rounds) {
        *memory_.job() = {w.number, p.sources, p.bytes, rounds, 0, 0};
    }

    void run(const way& w, const point& p, uint32_t rounds) {
        if (w.number < AVX2)
            return program_.run();
        for (uint32_t i = 0; i < rounds; i++) {
            compute(w, p);
            __asm__ volatile("" ::: "memory");
        }
        memory_.job()->done = rounds;
    }

    void compute(const way& w, const point& p) {
        const uint32_t step = w.number == AVX2_FUSED ? 4096 : p.bytes;
        for (uint32_t at = 0; at < p.bytes; at += step) {
            std::array<const void*, XOR_SOURCES_MAX> from{};
            for (uint32_t s = 0; s < p.sources; s++) {
                uint64_t* stable = memory_.cell(XOR_CELL_STABLE + s, p.bytes) + at / 8;
                if (w.copies)
                    std::memcpy(stable, memory_.client(s) + at / 8, step);
                from[s] = stable;
            }
            bench_avx2_xor(memory_.cell(XOR_CELL_SUM, p.bytes) + at / 8, from.data(), p.sources,
                           step);
        }
    }

    // Twice as many rounds until they take a time that can be measured.
    uint64_t long_enough(const way& w, const point& p, uint32_t& rounds) {
        for (;; rounds *= 2) {
            set(w, p, rounds);
            const uint64_t begin = now_ns();
            run(w, p, rounds);
            const uint64_t took = now_ns() - begin;
            if (took >= measured_ns || rounds >= rounds_max)
                return took;
        }
    }

    void window(const way& w, const point& p, uint32_t rounds) {
        set(w, p, rounds);
        __asm__ volatile(MARK_BEGIN ::: "memory");
        run(w, p, rounds);
        __asm__ volatile(MARK_END ::: "memory");
    }

    void check(const way& w, const point& p, uint32_t rounds) {
        const xor_job* job = memory_.job();
        const std::string what = std::string(w.name) + ", " + std::to_string(p.sources) + " x " +
                                 std::to_string(p.bytes);
        if (job->error != 0)
            give_up(what, -job->error);
        if (job->done != rounds)
            give_up(
                what + ": " + std::to_string(job->done) + " rounds of " + std::to_string(rounds),
                0);
        if (const uint64_t bad = memory_.wrong(p); bad != 0)
            give_up(what + ": " + std::to_string(bad) + " words are wrong", 0);
    }

    unsigned where_;
    program program_;
    memory memory_;
};

unsigned place(const std::string& name) {
    if (name == "counted")
        return counted;
    if (name == "timed")
        return timed;
    return name == "native" ? unsigned{native} : 0;
}

std::vector<uint32_t> numbers(const char* text, uint32_t least, uint32_t most) {
    std::vector<uint32_t> found;
    for (char* end = nullptr; *text != '\0'; text = *end == ',' ? end + 1 : end) {
        const unsigned long n = std::strtoul(text, &end, 10);
        if (end == text || n < least || n > most || (*end != ',' && *end != '\0'))
            give_up(std::string("what is '") + text + "'?", 0);
        found.push_back(static_cast<uint32_t>(n));
    }
    return found;
}

}  // namespace

int main(int argc, char** argv) {
    const unsigned where = argc == 6 ? place(argv[2]) : 0;
    if (where == 0) {
        std::fprintf(stderr,
                     "xor_bench OBJECT counted|timed|native SOURCES,... BYTES,... REPEATS\n");
        return 2;
    }
    if (where != counted && !__builtin_cpu_supports("avx2"))
        give_up("this processor has no AVX2", 0);
    const auto sources = numbers(argv[3], 2, XOR_SOURCES_MAX);
    const auto sizes = numbers(argv[4], 4096, XOR_BYTES_MAX);
    const auto repeats = numbers(argv[5], 1, 100).at(0);
    bench all(argv[1], where);
    if (where == counted)
        all.empty();
    // Whatever disturbs the machine for a while disturbs one repeat of a point.
    for (uint32_t i = 0; i < repeats; i++)
        for (const uint32_t s : sources)
            for (const uint32_t bytes : sizes)
                for (const way& w : ways)
                    all.measure(w, {s, bytes});
    return 0;
}
