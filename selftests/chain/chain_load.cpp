// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An application of chained reads, for the VM tests: a B+-tree on a file or device.
//
//   chain_load make PATH PAIRS            the tree
//   chain_load run PATH PAIRS ROUNDS [COUNT-FILE]
//
// Each round is a batch of 16 look-ups by the loop in the kernel, every value of
// which is checked. ROUNDS 0 goes on for ever. COUNT-FILE always has the number of
// rounds done.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "chain/chain_api.h"
#include "chain/chain_build.h"
#include "chain/chain_steps.h"

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

void one_round(rr_chain* chain, unsigned pairs, std::mt19937& rng) {
    chain_btree_query queries[batch] = {};
    rr_chain_lookup lookups[batch] = {};
    rr_chain_result results[batch];
    for (unsigned i = 0; i < batch; i++) {
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
    if (rr_chain_submit(chain, lookups, batch) != static_cast<int>(batch) ||
        rr_chain_wait(chain, batch, results, batch) != static_cast<int>(batch))
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

int run(const char* path, unsigned pairs, unsigned long rounds, const char* count_file) {
    const rr_chain_file file{path, 0};
    rr_chain_options o{};
    o.size = sizeof(o);
    o.files = &file;
    o.files_count = 1;
    o.depth = batch;
    o.scratch_bytes = sizeof(chain_btree_query);
    o.flags = RR_CHAIN_KERNEL;
    rr_chain* chain = nullptr;
    if (rr_chain_open(&o, &chain) < 0)
        give_up("cannot open the chain");
    int count_fd = -1;
    if (count_file != nullptr)
        count_fd = ::open(count_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    std::mt19937 rng(static_cast<unsigned>(::getpid()));
    for (unsigned long i = 1; rounds == 0 || i <= rounds; i++) {
        one_round(chain, pairs, rng);
        char text[32];
        const int n = std::snprintf(text, sizeof(text), "%10lu\n", i);
        if (count_fd >= 0 && ::pwrite(count_fd, text, static_cast<size_t>(n), 0) != n)
            return 1;
    }
    rr_chain_counts c;
    rr_chain_count(chain, &c);
    std::printf("%lu look-ups, %lu hops, %lu reads, %lu system calls; verified %lu%s\n",
                rounds * batch, static_cast<unsigned long>(c.hops),
                static_cast<unsigned long>(c.reads), static_cast<unsigned long>(c.enters),
                static_cast<unsigned long>(c.verified), rr_chain_faults(chain));
    rr_chain_close(chain);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 3 ? argv[1] : "";
    const auto pairs = static_cast<unsigned>(argc > 3 ? std::strtoul(argv[3], nullptr, 0) : 0);
    if (what == "make" && pairs != 0)
        return make(argv[2], pairs);
    if (what == "run" && pairs != 0 && argc > 4)
        return run(argv[2], pairs, std::strtoul(argv[4], nullptr, 0), argc > 5 ? argv[5] : nullptr);
    std::fprintf(stderr,
                 "usage: chain_load make PATH PAIRS | run PATH PAIRS ROUNDS [COUNT-FILE]\n");
    return 2;
}
