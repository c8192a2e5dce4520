// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An application of chained reads, for the VM tests: a B+-tree on a file or device,
// its loop in the kernel.
//
//   chain_load make PATH PAIRS            the tree
//   chain_load run PATH PAIRS ROUNDS [COUNT-FILE [DEPTH]]
//   chain_load churn PATH ROUNDS [COUNT-FILE]
//
// Each round of run is a batch of DEPTH (16) look-ups, every value of which is
// checked; 64 KiB are under way at most. churn has a writer that replaces nodes
// by copy (churn.h). ROUNDS 0 goes on for ever. COUNT-FILE always has the look-ups, or
// the rounds, that are done.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "chain/chain_api.h"
#include "chain/chain_build.h"
#include "chain/chain_steps.h"
#include "churn.h"

namespace {

constexpr unsigned page = 4096;
constexpr unsigned batch = 16;

std::string key_of(unsigned n) {
    char text[32];
    return {text, static_cast<size_t>(std::snprintf(text, sizeof(text), "key %010u", n))};
}

std::string value_of(unsigned n) {
    return "value of " + std::to_string(n);
}

[[noreturn]] void give_up(const char* what) {
    std::fprintf(stderr, "chain_load: %s: %s\n", what, rr_chain_error());
    std::exit(1);
}

struct source {
    unsigned at, pairs;
    std::string key, value;
};

int next_pair(rr_chain_pair* pair, void* arg) {
    auto* s = static_cast<source*>(arg);
    if (s->at == s->pairs)
        return 0;
    s->key = key_of(s->at);
    s->value = value_of(s->at++);
    *pair = {s->key.data(), s->value.data(), static_cast<unsigned>(s->key.size()),
             static_cast<unsigned>(s->value.size())};
    return 1;
}

int make(const char* path, unsigned pairs) {
    const int fd = ::open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    source s{0, pairs, {}, {}};
    rr_btree_info info{};
    if (fd < 0) {
        std::perror(path);
        return 1;
    }
    // Ten pairs a page: deep, for its size.
    if (rr_btree_write(fd, 0, page, 10, next_pair, &s, &info) < 0)
        give_up("cannot make the tree");
    std::printf("%u hops\n", info.levels + 1);
    return ::close(fd);
}

void one_round(rr_chain* chain, unsigned pairs, unsigned depth, std::mt19937& rng) {
    std::vector<chain_btree_query> queries(depth);
    std::vector<rr_chain_lookup> lookups(depth);
    std::vector<rr_chain_result> results(depth);
    for (unsigned i = 0; i < depth; i++) {
        const unsigned n = rng() % pairs;
        const std::string key = key_of(n);
        queries[i].flags = CHAIN_BTREE_CHECK;
        queries[i].key_bytes = static_cast<uint8_t>(key.size());
        std::memcpy(queries[i].key, key.data(), key.size());
        lookups[i].bytes = page;
        lookups[i].scratch = &queries[i];
        lookups[i].scratch_bytes = sizeof(queries[i]);
        lookups[i].tag = n;
    }
    if (rr_chain_submit(chain, lookups.data(), depth) != static_cast<int>(depth) ||
        rr_chain_wait(chain, depth, results.data(), depth) != static_cast<int>(depth))
        give_up("a batch");
    for (const rr_chain_result& r : results) {
        const std::string got(static_cast<const char*>(r.out), r.out_bytes);
        if (r.error != 0 || got != value_of(static_cast<unsigned>(r.tag))) {
            std::fprintf(stderr, "chain_load: key %u gives '%s', error %d\n",
                         static_cast<unsigned>(r.tag), got.c_str(), r.error);
            std::exit(1);
        }
    }
}

// What a test that looks on wants to know of: a number, in a file that exists from
// the first one on.
class count_file {
public:
    explicit count_file(const char* path) : path_(path) {}
    ~count_file() {
        if (fd_ >= 0)
            ::close(fd_);
    }
    count_file(const count_file&) = delete;
    count_file& operator=(const count_file&) = delete;
    void set(unsigned long n) {
        char text[32];
        const int bytes = std::snprintf(text, sizeof(text), "%10lu\n", n);
        if (path_ == nullptr)
            return;
        if (fd_ < 0)
            fd_ = ::open(path_, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (::pwrite(fd_, text, static_cast<size_t>(bytes), 0) != bytes)
            give_up("the count");
    }

private:
    const char* path_;
    int fd_ = -1;
};

rr_chain* open_or_give_up(rr_chain_options o) {
    rr_chain* chain = nullptr;
    o.flags |= RR_CHAIN_KERNEL;
    if (rr_chain_open(&o, &chain) < 0)
        give_up("cannot open the chain");
    return chain;
}

int report(rr_chain* chain, unsigned long lookups) {
    rr_chain_counts c;
    rr_chain_count(chain, &c);
    std::printf("%lu look-ups, %lu hops, %lu reads, %lu system calls; verified %lu%s\n", lookups,
                static_cast<unsigned long>(c.hops), static_cast<unsigned long>(c.reads),
                static_cast<unsigned long>(c.enters), static_cast<unsigned long>(c.verified),
                rr_chain_faults(chain));
    const bool clean = *rr_chain_faults(chain) == 0;
    rr_chain_close(chain);
    return clean ? 0 : 1;
}

int run(const char* path, unsigned pairs, unsigned long rounds, const char* count_path,
        unsigned depth) {
    const rr_chain_file file{path, 0};
    rr_chain_options o{};
    o.size = sizeof(o);
    o.files = &file;
    o.files_count = 1;
    o.depth = depth;
    o.scratch_bytes = sizeof(chain_btree_query);
    // As much of the device for who asks for much as for who asks for little.
    o.bytes_most = batch * page;
    rr_chain* chain = open_or_give_up(o);
    count_file count(count_path);
    std::mt19937 rng(static_cast<unsigned>(::getpid()));
    unsigned long lookups = 0;
    for (unsigned long i = 1; rounds == 0 || i <= rounds; i++) {
        one_round(chain, pairs, depth, rng);
        lookups += depth;
        count.set(lookups);
    }
    return report(chain, lookups);
}

// Until @until_rounds of the reader and as many of the writer are done; 0: for ever.
int churn(const char* path, unsigned long until_rounds, const char* count_path) {
    using namespace rr::chained;
    const rr_chain_file file{path, 0};
    // As an engine does that keeps its promises; one that writes to memory only is faster
    // than any reader of the disk, and all that they learn is that they are stale.
    churn_writer writer(path, O_DSYNC);
    rr_chain* chain = open_or_give_up(churn_options(&file));
    count_file count(count_path);
    churn_reader reader;
    writer.start(chain, static_cast<unsigned>(::getpid()));
    unsigned long i = 0;
    while (!writer.failed() &&
           (until_rounds == 0 || i < until_rounds || writer.rounds() < until_rounds)) {
        if (const std::string wrong = reader.round(chain); !wrong.empty()) {
            std::fprintf(stderr, "chain_load: %s\n", wrong.c_str());
            std::_Exit(1);
        }
        count.set(std::min<unsigned long>(++i, writer.rounds()));
    }
    writer.stop();
    rr_chain_counts c;
    rr_chain_count(chain, &c);
    std::printf(
        "%lu rounds of the writer, %lu of the reader: %lu restarts, %lu torn, %u given up\n",
        static_cast<unsigned long>(writer.rounds()), i, static_cast<unsigned long>(c.restarts),
        static_cast<unsigned long>(c.again), reader.stale());
    if (writer.failed() || reader.stale() > i * churn_leaves / 4) {
        std::fprintf(stderr, "chain_load: the writer failed, or readers give up\n");
        return 1;
    }
    return report(chain, i * churn_leaves);
}

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 3 ? argv[1] : "";
    auto number = [&](int i) { return argc > i ? std::strtoul(argv[i], nullptr, 0) : 0; };
    const auto pairs = static_cast<unsigned>(number(3));
    const char* count = argc > 5 ? argv[5] : nullptr;
    if (what == "make" && pairs != 0)
        return make(argv[2], pairs);
    if (what == "run" && pairs != 0 && argc > 4)
        return run(argv[2], pairs, number(4), count,
                   argc > 6 ? static_cast<unsigned>(number(6)) : batch);
    if (what == "churn")
        return churn(argv[2], number(3), argc > 4 ? argv[4] : nullptr);
    std::fprintf(
        stderr,
        "usage: chain_load make PATH PAIRS | run PATH PAIRS ROUNDS [COUNT-FILE [DEPTH]] |\n"
        "       churn PATH ROUNDS [COUNT-FILE]\n");
    return 2;
}
