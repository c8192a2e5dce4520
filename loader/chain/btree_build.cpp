// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "chain/btree_build.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

namespace rr::chained {
namespace {

constexpr uint64_t first_version = 1;

void put16(std::vector<uint8_t>& page, size_t at, size_t value) {
    const auto v = static_cast<uint16_t>(value);
    std::memcpy(&page[at], &v, sizeof(v));
}

size_t common_prefix(const std::string& a, const std::string& b) {
    return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first -
                               a.begin());
}

void seal(std::vector<uint8_t>& page, uint64_t offset) {
    const uint64_t sum =
        chain_xxh64(page.data() + CHAIN_BTREE_SUM_FROM,
                    static_cast<rr_u32>(page.size()) - CHAIN_BTREE_SUM_FROM, offset);
    std::memcpy(page.data(), &sum, sizeof(sum));
}

// What a page of these cells needs, of which the first and the last tell the prefix.
size_t bytes_of(std::span<const cell> cells) {
    if (cells.empty())
        return CHAIN_BTREE_SLOTS;
    const size_t prefix = common_prefix(cells.front().first, cells.back().first);
    size_t bytes = CHAIN_BTREE_SLOTS + prefix;
    for (const auto& [key, value] : cells)
        bytes += 2 + CHAIN_BTREE_CELL + key.size() - prefix + value.size();
    return bytes;
}

}  // namespace

std::optional<std::vector<uint8_t>> btree_page(std::span<const cell> cells, unsigned page_bytes,
                                               unsigned level, uint64_t offset, uint64_t version,
                                               chain_btree_child next) {
    if (bytes_of(cells) > page_bytes)
        return {};
    const size_t prefix =
        cells.empty() ? 0 : common_prefix(cells.front().first, cells.back().first);
    std::vector<uint8_t> page(page_bytes);
    chain_btree_page head{};
    head.version = version;
    head.next = next;
    head.magic = CHAIN_BTREE_PAGE_MAGIC;
    head.level = static_cast<rr_u16>(level);
    head.count = static_cast<rr_u16>(cells.size());
    size_t at = CHAIN_BTREE_SLOTS + 2 * cells.size();
    head.prefix_at = static_cast<rr_u16>(at);
    head.prefix_bytes = static_cast<rr_u16>(prefix);
    std::memcpy(page.data(), &head, sizeof(head));
    if (prefix != 0)
        std::memcpy(&page[at], cells.front().first.data(), prefix);
    at += prefix;
    size_t slot = CHAIN_BTREE_SLOTS;
    for (const auto& [key, value] : cells) {
        put16(page, slot, at);
        put16(page, at, key.size() - prefix);
        put16(page, at + 2, value.size());
        at += CHAIN_BTREE_CELL;
        std::copy(key.begin() + static_cast<std::ptrdiff_t>(prefix), key.end(),
                  page.begin() + static_cast<std::ptrdiff_t>(at));
        at += key.size() - prefix;
        std::copy(value.begin(), value.end(), page.begin() + static_cast<std::ptrdiff_t>(at));
        at += value.size();
        slot += 2;
    }
    seal(page, offset);
    return page;
}

std::vector<uint8_t> btree_root(unsigned page_bytes, unsigned level, uint64_t offset,
                                uint64_t version, chain_btree_child child) {
    std::vector<uint8_t> page(page_bytes);
    chain_btree_root root{};
    root.version = version;
    root.child = child;
    root.magic = CHAIN_BTREE_ROOT_MAGIC;
    root.page_bytes = page_bytes;
    root.level = static_cast<rr_u16>(level);
    std::memcpy(page.data(), &root, sizeof(root));
    seal(page, offset);
    return page;
}

std::string btree_pointer(uint64_t offset, uint64_t version) {
    const chain_btree_child child{offset, version};
    return {reinterpret_cast<const char*>(&child), sizeof(child)};
}

namespace {

// The pages of one level, written as they fill; what the level above is made of.
class level_writer {
public:
    level_writer(unsigned level, uint64_t& end, unsigned page_bytes, unsigned pairs_most,
                 const std::function<Status(uint64_t, const std::vector<uint8_t>&)>& write)
        : level_(level),
          end_(end),
          page_bytes_(page_bytes),
          pairs_most_(pairs_most),
          write_(write) {}

    Status add(cell c) {
        const std::string smallest = cells_.empty() ? c.first : cells_.front().first;
        size_t prefix = cells_.empty() ? c.first.size() : common_prefix(smallest, c.first);
        keys_ += c.first.size();
        values_ += c.second.size();
        cells_.push_back(std::move(c));
        const size_t bytes = CHAIN_BTREE_SLOTS + prefix + keys_ + values_ +
                             cells_.size() * (2 + CHAIN_BTREE_CELL) - cells_.size() * prefix;
        if (bytes <= page_bytes_ && (pairs_most_ == 0 || cells_.size() <= pairs_most_))
            return {};
        if (cells_.size() == 1)
            return with_hint(fail(E2BIG, "a pair of {} bytes", bytes), "take larger pages");
        cell next = std::move(cells_.back());
        cells_.pop_back();
        if (Status ok = flush(true); !ok)
            return ok;
        return add(std::move(next));
    }

    Status flush(bool more) {
        const uint64_t at = end_;
        end_ += page_bytes_;
        chain_btree_child next{};
        // Leaves lie one behind the other.
        if (more && level_ == 0)
            next = {end_, first_version};
        auto page = btree_page(cells_, page_bytes_, level_, at, first_version, next);
        if (!page)
            return fail(E2BIG, "a page does not hold {} pairs", cells_.size());
        if (Status ok = write_(at, *page); !ok)
            return ok;
        above_.emplace_back(cells_.empty() ? "" : cells_.front().first,
                            btree_pointer(at, first_version));
        cells_.clear();
        keys_ = values_ = 0;
        return {};
    }

    std::vector<cell> above() { return std::move(above_); }

private:
    unsigned level_;
    uint64_t& end_;
    unsigned page_bytes_, pairs_most_;
    const std::function<Status(uint64_t, const std::vector<uint8_t>&)>& write_;
    std::vector<cell> cells_, above_;
    size_t keys_ = 0, values_ = 0;
};

}  // namespace

Result<rr_btree_info> btree_write(
    uint64_t offset, unsigned page_bytes, unsigned pairs_most,
    const std::function<std::optional<cell>()>& next,
    const std::function<Status(uint64_t, const std::vector<uint8_t>&)>& write) {
    if (page_bytes < CHAIN_BTREE_PAGE_MIN || page_bytes > CHAIN_BTREE_PAGE_MAX ||
        !std::has_single_bit(page_bytes) || offset % page_bytes != 0)
        return with_hint(fail(EINVAL, "pages of {} bytes from {} on", page_bytes, offset),
                         "a power of two, 512 to 32768, and the offset a multiple of it");
    if (pairs_most == 1)
        return fail(EINVAL, "pages of one pair make no tree");
    rr_btree_info info{};
    uint64_t end = offset + page_bytes;
    level_writer leaves(0, end, page_bytes, pairs_most, write);
    std::string last;
    while (auto pair = next()) {
        if (pair->first.size() > CHAIN_BTREE_KEY_MAX)
            return fail(E2BIG, "a key of {} bytes", pair->first.size());
        if (info.pairs++ != 0 && pair->first <= last)
            return with_hint(
                fail(EINVAL, "key number {} is not greater than the one before", info.pairs),
                "sort the pairs as memcmp does, each key once");
        last = pair->first;
        if (Status ok = leaves.add(std::move(*pair)); !ok)
            return forward_error(ok.error());
    }
    if (Status ok = leaves.flush(false); !ok)
        return forward_error(ok.error());
    std::vector<cell> pages = leaves.above();
    for (info.levels = 1; pages.size() > 1; info.levels++) {
        level_writer level(info.levels, end, page_bytes, pairs_most, write);
        for (cell& c : pages)
            if (Status ok = level.add(std::move(c)); !ok)
                return forward_error(ok.error());
        if (Status ok = level.flush(false); !ok)
            return forward_error(ok.error());
        const size_t below = pages.size();
        pages = level.above();
        // A page that holds one pointer only leads nowhere.
        if (pages.size() >= below)
            return with_hint(fail(E2BIG, "keys too long for pages of {} bytes", page_bytes),
                             "take larger pages");
    }
    chain_btree_child child;
    std::memcpy(&child, pages.front().second.data(), sizeof(child));
    if (Status ok =
            write(offset, btree_root(page_bytes, info.levels - 1, offset, first_version, child));
        !ok)
        return forward_error(ok.error());
    info.bytes = end - offset;
    return info;
}

}  // namespace rr::chained
