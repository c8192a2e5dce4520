// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A tree whose leaves a writer replaces by copy while look-ups run: for the unit
// tests, and for the VM's, which want it on a file system and on a device.
//
// Each value says which key it is of and in which version. A reader must never see
// another key's, nor a version older than one that it has seen.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "chain/chain_api.h"

namespace rr::chained {

constexpr uint32_t churn_page = 4096;
constexpr unsigned churn_leaves = 8;
constexpr uint64_t churn_bytes = uint64_t{2 + churn_leaves + 8} * churn_page;

// One leaf to a free place, the page above it too, then the root page; the places that
// were in use are free now, and the next rounds write into them.
class churn_writer {
public:
    // @flags: of open(), beside O_RDWR.
    explicit churn_writer(const std::string& path, int flags = 0);
    ~churn_writer();
    churn_writer(const churn_writer&) = delete;
    churn_writer& operator=(const churn_writer&) = delete;
    // In a thread of its own; the chain's cache is told of each round.
    void start(rr_chain* chain, unsigned seed);
    void stop();
    [[nodiscard]] uint64_t rounds() const { return rounds_; }
    [[nodiscard]] bool failed() const { return failed_; }

private:
    void round(unsigned leaf_number);
    uint64_t take();
    void put(uint64_t place, const std::vector<uint8_t>& page);
    void leaf(unsigned n, uint64_t place);
    void inner(uint64_t place);

    int fd_;
    uint64_t version_ = 1, inner_ = 1;
    std::vector<uint64_t> place_, unused_, versions_;
    std::thread thread_;
    std::atomic<bool> end_{false}, failed_{false};
    std::atomic<uint64_t> rounds_{0};
};

class churn_reader {
public:
    // Every key at once. "" or what is wrong.
    std::string round(rr_chain* chain);
    // Look-ups whose writer was always faster: an error that says so.
    [[nodiscard]] unsigned stale() const { return stale_; }

private:
    std::string judge(const rr_chain_result& r);

    uint64_t last_[churn_leaves] = {};
    unsigned stale_ = 0;
};

// For the chain that reads it; the file is the caller's.
rr_chain_options churn_options(const rr_chain_file* file);

}  // namespace rr::chained
