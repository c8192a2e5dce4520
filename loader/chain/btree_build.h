// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Pages of B+-trees for chain_btree.h, and whole trees of sorted pairs.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "chain/chain_build.h"
#include "ringraid/chain_btree.h"

namespace rr::chained {

using cell = std::pair<std::string, std::string>;

// A page of these cells, whose keys go up; none when they do not fit.
std::optional<std::vector<uint8_t>> btree_page(std::span<const cell> cells, unsigned page_bytes,
                                               unsigned level, uint64_t offset, uint64_t version,
                                               chain_btree_child next = {});

std::vector<uint8_t> btree_root(unsigned page_bytes, unsigned level, uint64_t offset,
                                uint64_t version, chain_btree_child child);

std::string btree_pointer(uint64_t offset, uint64_t version);

// Calls @write(offset, page) for each page, the root page last.
Result<rr_btree_info> btree_write(
    uint64_t offset, unsigned page_bytes, unsigned pairs_most,
    const std::function<std::optional<cell>()>& next,
    const std::function<Status(uint64_t, const std::vector<uint8_t>&)>& write);

}  // namespace rr::chained
