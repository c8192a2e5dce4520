// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "churn.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <random>

#include "chain/btree_build.h"
#include "chain/chain_steps.h"

namespace rr::chained {
namespace {

std::string churn_key(unsigned n) {
    return "k" + std::to_string(100 + n);
}

}  // namespace

churn_writer::churn_writer(const std::string& path, int flags)
    : fd_(::open(path.c_str(), O_RDWR | O_CLOEXEC | flags)), versions_(churn_leaves) {
    for (unsigned n = 0; n < churn_leaves; n++)
        place_.push_back(2 + n);
    for (unsigned n = 0; n < 4; n++)
        unused_.push_back(2 + churn_leaves + n);
    for (unsigned n = 0; n < churn_leaves; n++)
        leaf(n, place_[n]);
    inner(1);
    unused_.push_back(2 + churn_leaves + 4);
    failed_ = failed_ || ::fsync(fd_) != 0;
}

churn_writer::~churn_writer() {
    stop();
    ::close(fd_);
}

void churn_writer::start(rr_chain* chain, unsigned seed) {
    thread_ = std::thread([this, chain, seed] {
        std::mt19937 rng(seed);
        while (!end_ && !failed_) {
            round(rng() % churn_leaves);
            rounds_++;
            rr_chain_bump(chain);
        }
    });
}

void churn_writer::stop() {
    end_ = true;
    if (thread_.joinable())
        thread_.join();
}

void churn_writer::round(unsigned n) {
    version_++;
    const uint64_t leaf_place = take(), inner_place = take(), old = inner_;
    leaf(n, leaf_place);
    unused_.push_back(place_[n]);
    place_[n] = leaf_place;
    inner(inner_place);
    unused_.push_back(old);
}

uint64_t churn_writer::take() {
    const uint64_t n = unused_.front();
    unused_.erase(unused_.begin());
    return n;
}

void churn_writer::put(uint64_t place, const std::vector<uint8_t>& page) {
    if (::pwrite(fd_, page.data(), page.size(), static_cast<off_t>(place * churn_page)) !=
        static_cast<ssize_t>(churn_page))
        failed_ = true;
}

void churn_writer::leaf(unsigned n, uint64_t place) {
    versions_[n] = version_;
    const std::vector<cell> cells = {
        {churn_key(n),
         std::to_string(n) + " " + std::to_string(version_) + std::string(3000, '.')}};
    put(place, *btree_page(cells, churn_page, 0, place * churn_page, version_));
}

void churn_writer::inner(uint64_t place) {
    inner_ = place;
    std::vector<cell> cells;
    for (unsigned n = 0; n < churn_leaves; n++)
        cells.emplace_back(churn_key(n), btree_pointer(place_[n] * churn_page, versions_[n]));
    put(place, *btree_page(cells, churn_page, 1, place * churn_page, version_));
    put(0, btree_root(churn_page, 1, 0, version_, {place * churn_page, version_}));
}

std::string churn_reader::judge(const rr_chain_result& r) {
    if (r.error == -ESTALE || r.error == -EILSEQ) {
        stale_++;
        return "";
    }
    if (r.error != 0)
        return "key " + std::to_string(r.tag) + ": error " + std::to_string(r.error);
    const std::string got(static_cast<const char*>(r.out), r.out_bytes);
    unsigned long key = 0, version = 0;
    if (std::sscanf(got.c_str(), "%lu %lu", &key, &version) != 2 || key != r.tag)
        return "key " + std::to_string(r.tag) + " gives " + got.substr(0, 30);
    if (version < last_[key])
        return "key " + std::to_string(key) + ": version " + std::to_string(version) + " after " +
               std::to_string(last_[key]);
    last_[key] = version;
    return "";
}

std::string churn_reader::round(rr_chain* chain) {
    chain_btree_query queries[churn_leaves] = {};
    rr_chain_lookup lookups[churn_leaves] = {};
    rr_chain_result results[churn_leaves];
    for (unsigned n = 0; n < churn_leaves; n++) {
        const std::string key = churn_key(n);
        queries[n].flags = CHAIN_BTREE_CHECK;
        queries[n].key_bytes = static_cast<rr_u8>(key.size());
        std::memcpy(queries[n].key, key.data(), key.size());
        lookups[n].step = RR_CHAIN_BTREE;
        lookups[n].bytes = churn_page;
        lookups[n].scratch = &queries[n];
        lookups[n].scratch_bytes = sizeof(queries[n]);
        lookups[n].tag = n;
        lookups[n].hops_max = 100000;
    }
    constexpr auto all = static_cast<int>(churn_leaves);
    if (rr_chain_submit(chain, lookups, churn_leaves) != all ||
        rr_chain_wait(chain, churn_leaves, results, churn_leaves) != all)
        return rr_chain_error();
    for (const rr_chain_result& r : results)
        if (std::string wrong = judge(r); !wrong.empty())
            return wrong;
    return "";
}

rr_chain_options churn_options(const rr_chain_file* file) {
    rr_chain_options o{};
    o.size = sizeof(o);
    o.files = file;
    o.files_count = 1;
    o.depth = churn_leaves;
    o.scratch_bytes = sizeof(chain_btree_query);
    o.cache_blocks = 16;
    return o;
}

}  // namespace rr::chained
