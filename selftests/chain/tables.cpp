// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tables.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace rr::chained {

namespace fs = std::filesystem;

std::string key_of(unsigned n) {
    char text[32];
    return {text, static_cast<size_t>(std::snprintf(text, sizeof(text), "user:%08u:name", n))};
}

std::string value_of(unsigned n) {
    return "value " + std::to_string(n) + std::string(n % 120, '.');
}

std::map<std::string, std::string> some_pairs(std::mt19937& rng, unsigned count) {
    std::map<std::string, std::string> all;
    while (all.size() < count)
        all[key_of(rng() % 100000)] = value_of(rng() % 100);
    return all;
}

unsigned keys_of_the_database() {
    return kernel && !full ? 5000 : 100000;
}

// A loop in the kernel is in a VM, where the processor may be emulated: 200,000 look-ups,
// one by one, did not end in ten minutes.
unsigned keys_between_lookups() {
    return !full ? 11 : kernel ? 101 : 1;
}

chain_sstable_query query_for(const std::string& key, uint8_t flags) {
    chain_sstable_query q{};
    q.flags = flags;
    q.key_bytes = static_cast<uint16_t>(key.size());
    std::memcpy(q.key, key.data(), std::min(key.size(), sizeof(q.key)));
    return q;
}

answer look_in(const bytes& table, const std::string& key, uint8_t flags, uint32_t footer_bytes) {
    if (table.size() < footer_bytes)
        return {};
    return run_query(RR_CHAIN_SSTABLE, table, table.size() - footer_bytes, footer_bytes,
                     query_for(key, flags));
}

bytes whole_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> files_of(const std::string& path, const std::string& ending) {
    std::vector<std::string> found;
    for (const auto& f : fs::directory_iterator(path))
        if (f.path().extension() == ending)
            found.push_back(f.path());
    return found;
}

tables::tables(std::vector<std::string> paths) : paths_(std::move(paths)) {
    for (const std::string& p : paths_)
        files_.push_back({p.c_str(), 0});
    rr_chain_options o{};
    o.size = sizeof(o);
    o.files = files_.data();
    o.files_count = static_cast<unsigned>(files_.size());
    o.block_bytes = 128 << 10;
    o.scratch_bytes = sizeof(chain_sstable_query);
    o.cache_blocks = 64;
    o.depth = 32;
    chain_ = open_chain(o);
}

std::vector<std::optional<found_entry>> tables::look(const std::string& key, uint8_t flags,
                                                     uint32_t footer_bytes) {
    const auto q = query_for(key, flags);
    std::vector<rr_chain_lookup> lookups;
    for (unsigned f = 0; f < files_.size(); f++) {
        rr_chain_lookup l{};
        l.step = RR_CHAIN_SSTABLE;
        l.file = f;
        l.bytes = footer_bytes;
        l.offset = static_cast<uint64_t>(rr_chain_file_bytes(chain_.get(), f)) - l.bytes;
        l.keep = 1;
        l.scratch = &q;
        l.scratch_bytes = sizeof(q);
        l.tag = f;
        lookups.push_back(l);
    }
    const auto all = static_cast<unsigned>(lookups.size());
    std::vector<rr_chain_result> results(all);
    std::vector<std::optional<found_entry>> found(all);
    EXPECT_EQ(rr_chain_submit(chain_.get(), lookups.data(), all), static_cast<int>(all));
    EXPECT_EQ(rr_chain_wait(chain_.get(), all, results.data(), all), static_cast<int>(all))
        << rr_chain_error();
    for (const rr_chain_result& r : results) {
        const auto* after = static_cast<const chain_sstable_query*>(r.scratch);
        EXPECT_EQ(r.error, 0) << key << " in " << paths_[r.tag];
        if (r.error != 0)
            continue;
        filtered_ += after->filtered;
        if (after->found != 0)
            found[r.tag] = found_entry{after->deleted != 0,
                                       after->sequence,
                                       {static_cast<const char*>(r.out), r.out_bytes}};
    }
    return found;
}

std::optional<std::string> tables::newest(const std::vector<std::optional<found_entry>>& all) {
    const found_entry* last = nullptr;
    for (const auto& e : all)
        if (e && (last == nullptr || e->sequence > last->sequence))
            last = &*e;
    return last == nullptr || last->deleted ? std::nullopt : std::optional(last->value);
}

}  // namespace rr::chained
