// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the tests of LevelDB's and RocksDB's tables share: keys and values, and a
// chain that looks one up in every table of a database.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "chain/chain_steps.h"
#include "helpers.h"

namespace rr::chained {

std::string key_of(unsigned n);
std::string value_of(unsigned n);
std::map<std::string, std::string> some_pairs(std::mt19937& rng, unsigned count);

// Under TCG, and in a run of every test, fewer.
unsigned keys_of_the_database();
unsigned keys_between_lookups();

chain_sstable_query query_for(const std::string& key, uint8_t flags);

// In a table that is in memory.
answer look_in(const bytes& table, const std::string& key, uint8_t flags, uint32_t footer_bytes);

bytes whole_file(const std::string& path);

// Files of the directory with that ending.
std::vector<std::string> files_of(const std::string& path, const std::string& ending);

struct found_entry {
    bool deleted;
    uint64_t sequence;
    std::string value;
    bool operator==(const found_entry&) const = default;
};

class tables {
public:
    explicit tables(std::vector<std::string> paths);
    // One look-up in each table, all at once: what each has of the key.
    std::vector<std::optional<found_entry>> look(const std::string& key, uint8_t flags,
                                                 uint32_t footer_bytes);
    // The newest of them, unless it is a deletion.
    static std::optional<std::string> newest(const std::vector<std::optional<found_entry>>& all);
    [[nodiscard]] unsigned filtered() const { return filtered_; }
    [[nodiscard]] rr_chain* chain() const { return chain_.get(); }

private:
    std::vector<std::string> paths_;
    std::vector<rr_chain_file> files_;
    chain_ptr chain_;
    unsigned filtered_ = 0;
};

}  // namespace rr::chained
