// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the tests of chained reads share: a host for steps that is as dumb as can
// be, blocks that end at a page which nobody may touch, files, chains.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "chain/chain_api.h"
#include "chain/user_host.h"

namespace rr::chained {

using bytes = std::vector<uint8_t>;

// Of the run: printed, and given again by --seed.
extern unsigned seed;
// The loop in the kernel (--kernel), and where files go (--dir).
extern bool kernel;
extern std::string directory;
extern bool full;  // RINGRAID_LEVEL
// So many, and ten times as many when the level is full.
unsigned rounds(unsigned n);

// Whole pages, behind which nothing is.
class guarded_memory {
public:
    explicit guarded_memory(size_t bytes);
    ~guarded_memory();
    guarded_memory(const guarded_memory&) = delete;
    guarded_memory& operator=(const guarded_memory&) = delete;
    // The last bytes of it.
    [[nodiscard]] uint8_t* last(size_t bytes) const { return map_ + bytes_ - bytes; }

private:
    uint8_t* map_;
    size_t bytes_;
};

struct answer {
    int error = 0;
    bytes out;
    bytes scratch;
    unsigned hops = 0;
};

struct first_read {
    uint64_t offset = 0;
    uint32_t bytes = 0;
    uint32_t scratch_bytes = 0;
    uint32_t out_bytes = 4096;
    unsigned hops_most = 100000;
    uint32_t block_bytes = 1 << 20;
};

// A step over a file in memory, one read after the other: no ring, no arena, no
// turn. Reads of blocks, scratch and output beyond their ends are deadly.
answer run_step(chain_step_fn step, const bytes& file, const first_read& first,
                const void* scratch);

template <typename Query>
answer run_query(unsigned step, const bytes& file, uint64_t offset, uint32_t bytes_each,
                 const Query& query, uint32_t out_bytes = 4096);

template <typename Query>
Query query_of(const answer& a) {
    Query q;
    std::memcpy(static_cast<void*>(&q), a.scratch.data(), sizeof(q));
    return q;
}

extern "C" const rr_chain_program library_chain;
extern "C" const rr_chain_program test_chain;

template <typename Query>
answer run_query(unsigned step, const bytes& file, uint64_t offset, uint32_t bytes_each,
                 const Query& query, uint32_t out_bytes) {
    return run_step(library_chain.step[step], file,
                    {.offset = offset,
                     .bytes = bytes_each,
                     .scratch_bytes = sizeof(query),
                     .out_bytes = out_bytes},
                    &query);
}

// A file of these bytes in the directory of the run; gone with the object.
class test_file {
public:
    explicit test_file(const bytes& content);
    ~test_file();
    test_file(const test_file&) = delete;
    test_file& operator=(const test_file&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }
    void write(uint64_t offset, const bytes& content) const;
    void truncate(uint64_t size) const;

private:
    std::string path_;
};

struct close_chain {
    void operator()(rr_chain* c) const { rr_chain_close(c); }
};
using chain_ptr = std::unique_ptr<rr_chain, close_chain>;

// Options for the steps of test_steps.c on these files; opened as the run wants.
rr_chain_options test_options(std::span<const rr_chain_file> files);
chain_ptr open_chain(rr_chain_options options);

// One lookup, to its end: the result's memory is copied.
answer ask(rr_chain* chain, const rr_chain_lookup& lookup);

}  // namespace rr::chained
