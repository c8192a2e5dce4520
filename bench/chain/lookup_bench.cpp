// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// lookup_bench: look-ups in B+-trees of some depth, by everyone who can issue the next
// read, with one and the same step function (chain_btree.h), each in a window of
// bench/tools/count.c:
//
//   pread     one look-up after the other, a system call a hop
//   io_uring  all of a batch under way, a submission a hop
//   batched   the same; what has come is looked at, and what follows submitted, at once
//   user      the library's loop in user space
//   kernel    the library's loop in the ring's wait loop
//
// and where there are NG, the character device of DISK, and HOOK, an object:
//
//   nvme      the library's loop in the ring's wait loop, with NVMe commands
//   hook      the driver's completion, with the step in a BPF program there (hook.h);
//             a kernel worker sends the command
//   hook-now  the same; the interrupt sends it
//
//   lookup_bench tree DISK US OUT FIRST-WINDOW DEPTHS BATCHES [NG HOOK]   ("1 2 3")
//   lookup_bench steps                                       nanoseconds, natively
//
// tree: the disk answers after US microseconds, 0 if nobody knows. OUT/lookups.jsonl gets a line
// for each window, with the file of OUT that has the symbols of what was loaded then.
// Pages are of 512 bytes, with two pairs each, so that a tree of depth 10 is small. Depth 1, which
// no tree has, is the row of a page that a scan finds.
#include <fcntl.h>
#include <liburing.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "../tools/mark.h"
#include "chain/btree_build.h"
#include "chain/chain_api.h"
#include "chain/chain_steps.h"
#include "chain/table_build.h"
#include "chain/user_host.h"
#include "hook.h"

extern "C" const rr_chain_program library_chain;

namespace {

using rr::chained::cell;
using bytes = std::vector<uint8_t>;

constexpr unsigned page = 512;
constexpr unsigned lookups_least = 64;  // of a window

[[noreturn]] void give_up(const std::string& what) {
    std::fprintf(stderr, "lookup_bench: %s\n", what.c_str());
    std::exit(1);
}

std::string key_of(unsigned n) {
    char text[16];
    std::snprintf(text, sizeof(text), "%08u", n);
    return text;
}

std::string value_of(unsigned n) {
    return "value " + key_of(n);
}

chain_btree_query query_of(const std::string& key, uint8_t flags = 0) {
    chain_btree_query q{};
    q.flags = flags;
    q.key_bytes = static_cast<rr_u8>(key.size());
    std::memcpy(q.key, key.data(), key.size());
    return q;
}

// What a look-up of any depth begins with.
struct question {
    unsigned step = RR_CHAIN_BTREE;
    uint32_t bytes = sizeof(chain_btree_query);
    union {
        chain_btree_query tree;
        chain_scan_query scan;
    };

    question() : tree{} {}
    question(unsigned depth, unsigned n) {
        if (depth > 1) {
            tree = query_of(key_of(n));
            return;
        }
        step = RR_CHAIN_SCAN;
        bytes = sizeof(scan);
        scan = {};
        scan.end = page;
        scan.condition[0] = {0, 8, 0, CHAIN_SCAN_EQ, {}, n};
        scan.column[0] = {8, static_cast<rr_u16>(value_of(n).size())};
    }
};

struct row {
    uint64_t id;
    char text[16];
};

// A file whose look-ups take @depth reads, the first of them at its beginning.
struct tree {
    bytes file;
    unsigned depth = 0;
    unsigned pairs = 0;
};

tree make_page() {
    tree t{{}, 1, 16};
    std::vector<row> rows(t.pairs);
    for (unsigned i = 0; i < t.pairs; i++) {
        rows[i].id = i;
        std::memcpy(rows[i].text, value_of(i).c_str(), value_of(i).size());
    }
    const std::span<const uint8_t> all{reinterpret_cast<const uint8_t*>(rows.data()),
                                       rows.size() * sizeof(row)};
    auto written = rr::chained::rows_write(0, page, all, sizeof(row),
                                           [&](uint64_t, const bytes& p) -> rr::Status {
                                               t.file = p;
                                               return {};
                                           });
    if (!written || t.file.size() != page)
        give_up("the rows do not fit a page");
    return t;
}

tree make_tree(unsigned depth, unsigned page_bytes, unsigned pairs_most) {
    if (depth == 1)
        return make_page();
    tree t{{}, depth, 0};
    for (t.pairs = 1;; t.pairs *= 2) {
        t.file.clear();
        unsigned n = 0;
        auto info = rr::chained::btree_write(
            0, page_bytes, pairs_most,
            [&]() -> std::optional<cell> {
                if (n == t.pairs)
                    return {};
                const unsigned at = n++;
                return cell(key_of(at), value_of(at));
            },
            [&](uint64_t offset, const bytes& p) -> rr::Status {
                t.file.resize(std::max<size_t>(t.file.size(), offset + p.size()));
                std::copy(p.begin(), p.end(), &t.file[offset]);
                return {};
            });
        if (!info)
            give_up(info.error().what);
        if (info->levels + 1 == depth)
            return t;
        if (info->levels + 1 > depth)
            give_up("there is no tree of that depth");
    }
}

// A look-up that the program itself takes from hop to hop.
struct walk {
    chain c;
    question query;
    char out[64];
    uint8_t* block;
    unsigned key;

    void begin(unsigned depth, unsigned n) {
        key = n;
        query = question(depth, n);
        std::memset(&c, 0, sizeof(c));
        c.scratch = reinterpret_cast<rr_u64>(&query.tree);
        c.scratch_bytes = query.bytes;
        c.out = reinterpret_cast<rr_u64>(out);
        c.out_bytes = sizeof(out);
        c.block_bytes = page;
        c.parts = 1;
        c.part[0].offset = 0;
    }
    [[nodiscard]] uint64_t next() const { return c.part[0].offset; }
    // Whether there is another hop.
    bool look() {
        c.busy = c.wanted = 0;
        c.offset = c.part[0].offset;
        c.tag = c.part[0].tag;
        const int verdict = library_chain.step[query.step](&c, block, page);
        c.hop++;
        if (verdict == CHAIN_MORE)
            return true;
        if (verdict != CHAIN_DONE || std::string(out, c.out_used) != value_of(key))
            give_up("a look-up found something else");
        return false;
    }
};

struct walks {
    explicit walks(unsigned count) : all(count) {
        memory = static_cast<uint8_t*>(std::aligned_alloc(4096, up_to_page(count)));
        for (unsigned i = 0; i < count; i++)
            all[i].block = memory + size_t{i} * page;
    }
    ~walks() { std::free(memory); }
    walks(const walks&) = delete;
    walks& operator=(const walks&) = delete;
    static size_t up_to_page(unsigned count) { return (size_t{count} * page + 4095) / 4096 * 4096; }
    std::vector<walk> all;
    uint8_t* memory;
};

// One who makes a batch of look-ups; counts its system calls.
class reader {
public:
    virtual ~reader() = default;
    virtual void batch(const std::vector<unsigned>& keys) = 0;
    virtual uint64_t system_calls() = 0;
};

class by_pread : public reader {
public:
    by_pread(int fd, unsigned depth) : fd_(fd), depth_(depth) {}
    void batch(const std::vector<unsigned>& keys) override {
        walk& w = one_.all[0];
        for (const unsigned key : keys) {
            w.begin(depth_, key);
            do {
                calls_++;
                if (::pread(fd_, w.block, page, static_cast<off_t>(w.next())) != page)
                    give_up("pread");
            } while (w.look());
        }
    }
    uint64_t system_calls() override { return calls_; }

private:
    int fd_;
    unsigned depth_;
    walks one_{1};
    uint64_t calls_ = 0;
};

// io_uring as a program uses it that knows what it does: registered file and memory, and
// completions by the thread itself. The ring is entered for each submission, or for all.
class by_ring : public reader {
public:
    by_ring(int fd, unsigned depth, unsigned batch, bool batched)
        : walks_(batch), depth_(depth), batched_(batched) {
        io_uring_params p{};
        p.flags = IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_NO_SQARRAY;
        const iovec memory = {walks_.memory, walks::up_to_page(batch)};
        if (io_uring_queue_init_params(128, &ring_, &p) < 0 ||
            io_uring_register_files(&ring_, &fd, 1) < 0 ||
            io_uring_register_buffers(&ring_, &memory, 1) < 0)
            give_up("io_uring");
    }
    ~by_ring() override { io_uring_queue_exit(&ring_); }
    by_ring(const by_ring&) = delete;
    by_ring& operator=(const by_ring&) = delete;

    void batch(const std::vector<unsigned>& keys) override {
        auto left = static_cast<unsigned>(keys.size());
        for (unsigned i = 0; i < keys.size(); i++) {
            walks_.all[i].begin(depth_, keys[i]);
            ask(i);
            if (!batched_ && i + 1 < keys.size())
                enter(0);
        }
        enter(1);
        while (left > 0) {
            io_uring_cqe* cqe = nullptr;
            bool asked = false;
            while (io_uring_peek_cqe(&ring_, &cqe) == 0) {
                const auto i = static_cast<unsigned>(cqe->user_data);
                if (cqe->res != static_cast<int>(page))
                    give_up("a read");
                io_uring_cqe_seen(&ring_, cqe);
                if (walks_.all[i].look()) {
                    ask(i);
                    asked = true;
                } else {
                    left--;
                }
                // One submission a hop; it waits when there is nothing else to look at.
                if (!batched_ && asked)
                    break;
            }
            if (asked)
                enter(io_uring_cq_ready(&ring_) == 0 ? 1 : 0);
            else if (left > 0)
                enter(1);
        }
    }
    uint64_t system_calls() override { return calls_; }

private:
    void ask(unsigned i) {
        io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
        const walk& w = walks_.all[i];
        io_uring_prep_read_fixed(sqe, 0, w.block, page, w.next(), 0);
        sqe->flags |= IOSQE_FIXED_FILE;
        sqe->user_data = i;
    }
    void enter(unsigned wait) {
        calls_++;
        if (io_uring_submit_and_wait(&ring_, wait) < 0)
            give_up("io_uring_enter");
    }

    walks walks_;
    unsigned depth_;
    bool batched_;
    io_uring ring_{};
    uint64_t calls_ = 0;
};

// Where the kernel has put its modules and BPF programs, while it has them.
void keep_symbols(const std::string& file) {
    std::ifstream in("/proc/kallsyms");
    std::ofstream to(file);
    for (std::string line; std::getline(in, line);)
        if (line.ends_with("]"))
            to << line << "\n";
}

class by_library : public reader {
public:
    by_library(int fd, unsigned depth, unsigned batch, unsigned flag)
        : depth_(depth), queries_(batch), lookups_(batch), results_(batch) {
        const rr_chain_file file{nullptr, fd};
        rr_chain_options o{};
        o.size = sizeof(o);
        o.files = &file;
        o.files_count = 1;
        o.depth = batch;
        o.block_bytes = page;
        o.scratch_bytes = std::max(sizeof(chain_btree_query), sizeof(chain_scan_query));
        o.out_bytes = 64;
        o.flags = flag;
        if (rr_chain_open(&o, &chain_) < 0)
            give_up(rr_chain_error());
    }
    ~by_library() override { rr_chain_close(chain_); }
    by_library(const by_library&) = delete;
    by_library& operator=(const by_library&) = delete;

    void batch(const std::vector<unsigned>& keys) override {
        const auto n = static_cast<unsigned>(keys.size());
        for (unsigned i = 0; i < n; i++) {
            queries_[i] = question(depth_, keys[i]);
            lookups_[i].step = queries_[i].step;
            lookups_[i].bytes = page;
            lookups_[i].scratch = &queries_[i].tree;
            lookups_[i].scratch_bytes = queries_[i].bytes;
            lookups_[i].tag = keys[i];
        }
        if (rr_chain_submit(chain_, lookups_.data(), n) != static_cast<int>(n) ||
            rr_chain_wait(chain_, n, results_.data(), n) != static_cast<int>(n))
            give_up(rr_chain_error());
        for (const rr_chain_result& r : results_)
            if (r.error != 0 || std::string(static_cast<const char*>(r.out), r.out_bytes) !=
                                    value_of(static_cast<unsigned>(r.tag)))
                give_up("a look-up found something else");
    }
    uint64_t system_calls() override {
        rr_chain_counts c;
        rr_chain_count(chain_, &c);
        return c.enters;
    }

private:
    rr_chain* chain_ = nullptr;
    unsigned depth_;
    std::vector<question> queries_;
    std::vector<rr_chain_lookup> lookups_;
    std::vector<rr_chain_result> results_;
};

class by_hook : public reader {
public:
    by_hook(hooked& all, unsigned depth, bool now) : all_(all), depth_(depth), now_(now) {}
    void batch(const std::vector<unsigned>& keys) override {
        for (unsigned i = 0; i < keys.size(); i++)
            all_.ask(i, query_of(key_of(keys[i])), now_);
        all_.finish(static_cast<unsigned>(keys.size()));
        for (unsigned i = 0; i < keys.size(); i++)
            if (all_.found(i, depth_) != value_of(keys[i]))
                give_up("a look-up found something else");
    }
    uint64_t system_calls() override { return all_.system_calls(); }

private:
    hooked& all_;
    unsigned depth_;
    bool now_;
};

// Of this thread. Each sleep, a voluntary switch, ends with one wake-up.
struct switches {
    uint64_t all, sleeps;
};

switches count_switches() {
    rusage u{};
    ::getrusage(RUSAGE_THREAD, &u);
    return {static_cast<uint64_t>(u.ru_nvcsw + u.ru_nivcsw), static_cast<uint64_t>(u.ru_nvcsw)};
}

int windows = 0;
std::string out, device_us, symbols;

void window(reader& r, const char* how, const tree& t, unsigned batch) {
    const unsigned batches = std::max(1U, lookups_least / batch);
    std::vector<std::vector<unsigned>> keys(batches, std::vector<unsigned>(batch));
    std::mt19937 rng(t.depth * 100 + batch);
    for (auto& b : keys)
        for (unsigned& k : b)
            k = rng() % t.pairs;
    r.batch(keys[0]);
    const uint64_t calls = r.system_calls();
    const switches before = count_switches();
    const auto begin = std::chrono::steady_clock::now();
    __asm__ volatile(MARK_BEGIN ::: "memory");
    for (const auto& b : keys)
        r.batch(b);
    __asm__ volatile(MARK_END ::: "memory");
    const std::chrono::duration<double, std::nano> ns = std::chrono::steady_clock::now() - begin;
    const switches after = count_switches();
    std::ofstream(out + "/lookups.jsonl", std::ios::app)
        << R"({"how": ")" << how << R"(", "depth": )" << t.depth << R"(, "batch": )" << batch
        << R"(, "device_us": )" << device_us << R"(, "lookups": )" << batches * batch
        << R"(, "window": )" << windows++ << R"(, "calls": )" << r.system_calls() - calls
        << R"(, "switches": )" << after.all - before.all << R"(, "wakeups": )"
        << after.sleeps - before.sleeps << R"(, "ns": )" << static_cast<uint64_t>(ns.count())
        << R"(, "symbols": ")" << symbols << R"("})" << "\n";
}

std::vector<unsigned> numbers(const char* text) {
    std::istringstream in(text);
    std::vector<unsigned> all;
    for (unsigned n; in >> n;)
        all.push_back(n);
    return all;
}

// Everyone in turn. All are there until the end, so that no two programs were in one place.
void compare(int fd, int namespace_fd, const char* hook, const tree& t, unsigned batch) {
    by_pread one(fd, t.depth);
    by_ring each(fd, t.depth, batch, false), all(fd, t.depth, batch, true);
    by_library user(fd, t.depth, batch, RR_CHAIN_USER), kernel(fd, t.depth, batch, RR_CHAIN_KERNEL);
    symbols = "kallsyms-" + std::to_string(windows);
    window(one, "pread", t, batch);
    window(each, "io_uring", t, batch);
    window(all, "batched", t, batch);
    window(user, "user", t, batch);
    window(kernel, "kernel", t, batch);
    keep_symbols(out + "/" + symbols);
    if (hook == nullptr)
        return;
    by_library nvme(namespace_fd, t.depth, batch, RR_CHAIN_KERNEL);
    // One for both: the kernel takes an arena apart later, and that would be counted.
    hooked driver(hook, namespace_fd, batch, page);
    symbols = "kallsyms-" + std::to_string(windows);
    window(nvme, "nvme", t, batch);
    for (const bool now : {false, true}) {
        by_hook sent(driver, t.depth, now);
        window(sent, now ? "hook-now" : "hook", t, batch);
    }
    keep_symbols(out + "/" + symbols);
}

int look_up(int argc, char** argv) {
    const char* hook = argc > 9 ? argv[9] : nullptr;
    const int namespace_fd = hook != nullptr ? ::open(argv[8], O_RDWR | O_CLOEXEC) : -1;
    out = argv[4];
    device_us = argv[3];
    windows = std::atoi(argv[5]);
    for (const unsigned depth : numbers(argv[6])) {
        const int fd = ::open(argv[2], O_RDWR | O_DIRECT | O_CLOEXEC);
        tree t = make_tree(depth, page, 2);
        auto* memory = static_cast<uint8_t*>(
            std::aligned_alloc(4096, walks::up_to_page(t.file.size() / page)));
        std::copy(t.file.begin(), t.file.end(), memory);
        if (fd < 0 || (hook != nullptr && namespace_fd < 0) ||
            ::pwrite(fd, memory, t.file.size(), 0) != static_cast<ssize_t>(t.file.size()))
            give_up(std::string(argv[2]) + " cannot be written");
        std::free(memory);
        for (const unsigned batch : numbers(argv[7]))
            compare(fd, namespace_fd, hook, t, batch);
        ::close(fd);
        std::printf("depth %u: %zu pages\n", depth, t.file.size() / page);
        std::fflush(stdout);
    }
    return 0;
}

// A step on a block that stays where it is, over and over: nanoseconds of a call, the
// least of some rounds.
template <typename Query>
void time_step(const char* name, unsigned step, const bytes& block, uint64_t offset, unsigned hop,
               uint64_t tag, const Query& query) {
    constexpr unsigned calls = 20000;
    double best = 1e9;
    char out[256];
    Query q;
    chain c{};
    for (int round = 0; round < 15; round++) {
        const auto begin = std::chrono::steady_clock::now();
        for (unsigned i = 0; i < calls; i++) {
            q = query;
            c.scratch = reinterpret_cast<rr_u64>(&q);
            c.scratch_bytes = sizeof(q);
            c.out = reinterpret_cast<rr_u64>(out);
            c.out_bytes = sizeof(out);
            c.block_bytes = 1 << 20;
            c.parts = 0xff;
            c.busy = c.wanted = c.out_used = 0;
            c.offset = offset;
            c.hop = hop;
            c.tag = tag;
            const int verdict =
                library_chain.step[step](&c, block.data(), static_cast<rr_u32>(block.size()));
            if (verdict != CHAIN_MORE && verdict != CHAIN_DONE)
                give_up(std::string(name) + ": the step says " + std::to_string(verdict));
        }
        const std::chrono::duration<double, std::nano> ns =
            std::chrono::steady_clock::now() - begin;
        best = std::min(best, ns.count() / calls);
    }
    std::printf(R"({"step": "%s", "bytes": %zu, "ns": %.1f})"
                "\n",
                name, block.size(), best);
}

bytes part_of(const bytes& file, uint64_t offset, unsigned length) {
    return {file.begin() + static_cast<std::ptrdiff_t>(offset),
            file.begin() + static_cast<std::ptrdiff_t>(offset + length)};
}

int time_steps() {
    for (const unsigned size : {512U, 4096U}) {
        const tree t = make_tree(3, size, 0);
        chain_btree_root root;
        std::memcpy(&root, t.file.data(), sizeof(root));
        const bytes inner = part_of(t.file, root.child.offset, size);
        for (const uint8_t flag : {uint8_t{0}, uint8_t{CHAIN_BTREE_CHECK}}) {
            chain_btree_query q = query_of(key_of(t.pairs / 3), flag);
            q.level = static_cast<rr_u8>(root.level + 1);
            time_step(flag == 0 ? "B+-tree, inner page" : "B+-tree, inner page, checksum",
                      RR_CHAIN_BTREE, inner, root.child.offset, 1, root.child.version, q);
        }
    }
    std::vector<uint64_t> rows(480);
    for (unsigned i = 0; i < rows.size(); i++)
        rows[i] = i * 77 % 1000;
    bytes file;
    if (auto written = rr::chained::rows_write(
            0, 4096, {reinterpret_cast<const uint8_t*>(rows.data()), rows.size() * 8}, 16,
            [&](uint64_t offset, const bytes& p) -> rr::Status {
                file.resize(std::max<size_t>(file.size(), offset + p.size()));
                std::copy(p.begin(), p.end(), &file[offset]);
                return {};
            });
        !written)
        give_up(written.error().what);
    chain_scan_query scan{};
    scan.end = 4096;
    scan.condition[0] = {8, 8, 0, CHAIN_SCAN_LT, {}, 500};
    scan.number = {8, 8, 0, 0, {}, 0};
    time_step("scan: sum where less, 240 rows", RR_CHAIN_SCAN, part_of(file, 0, 4096), 0, 0, 0,
              scan);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 1 ? argv[1] : "";
    if (what == "tree" && (argc == 8 || argc == 10))
        return look_up(argc, argv);
    if (what == "steps")
        return time_steps();
    std::fprintf(
        stderr,
        "usage: lookup_bench tree DISK US OUT FIRST-WINDOW DEPTHS BATCHES [NG HOOK] | steps\n");
    return 2;
}
