// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "chain/table_build.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace rr::chained {
namespace {

constexpr uint64_t first_version = 1;
constexpr unsigned page_most = 1 << 20;

template <typename Head>
void seal(std::vector<uint8_t>& page, Head& head, unsigned from, uint64_t offset) {
    std::memcpy(page.data(), &head, sizeof(head));
    head.sum = chain_xxh64(page.data() + from, static_cast<rr_u32>(page.size()) - from, offset);
    std::memcpy(page.data(), &head, sizeof(head));
}

Status check_place(uint64_t offset, unsigned page_bytes) {
    if (page_bytes < 512 || page_bytes > page_most || page_bytes % 512 != 0 || offset % 512 != 0)
        return with_hint(fail(EINVAL, "pages of {} bytes from {} on", page_bytes, offset),
                         "both a multiple of 512, and at most 1 MiB a page");
    return {};
}

// One bucket after the other; what does not fit its first page goes behind them all.
struct hash_pages {
    uint64_t offset;
    unsigned page_bytes, buckets;
    uint64_t end;
    const page_sink& write;

    Status bucket(unsigned n, std::span<const cell> cells) {
        uint64_t at = offset + page_bytes + uint64_t{n} * page_bytes;
        for (unsigned place = 0;; place++) {
            std::vector<uint8_t> page(page_bytes);
            size_t used = sizeof(chain_hash_page);
            while (!cells.empty() && used + CHAIN_HASH_ENTRY + cells.front().first.size() +
                                             cells.front().second.size() <=
                                         page_bytes) {
                const auto& [key, value] = cells.front();
                const uint16_t sizes[2] = {static_cast<uint16_t>(key.size()),
                                           static_cast<uint16_t>(value.size())};
                std::memcpy(&page[used], sizes, sizeof(sizes));
                std::memcpy(&page[used + 4], key.data(), key.size());
                std::copy(value.begin(), value.end(),
                          page.begin() + static_cast<std::ptrdiff_t>(used + 4 + key.size()));
                used += CHAIN_HASH_ENTRY + key.size() + value.size();
                cells = cells.subspan(1);
            }
            chain_hash_page head{};
            head.version = first_version;
            head.magic = CHAIN_HASH_PAGE_MAGIC;
            head.bucket = n;
            head.place = place;
            head.used = static_cast<rr_u32>(used - sizeof(head));
            if (!cells.empty()) {
                head.next = end;
                head.next_version = first_version;
                end += page_bytes;
            }
            seal(page, head, CHAIN_HASH_SUM_FROM, at);
            if (Status ok = write(at, page); !ok)
                return ok;
            if (cells.empty())
                return {};
            at = head.next;
        }
    }
};

}  // namespace

Result<uint64_t> hash_write(uint64_t offset, unsigned page_bytes, unsigned buckets,
                            const std::function<std::optional<cell>()>& next,
                            const page_sink& write) {
    if (Status ok = check_place(offset, page_bytes); !ok)
        return forward_error(ok.error());
    if (buckets == 0 || buckets > 1U << 24)
        return fail(EINVAL, "{} buckets", buckets);
    std::vector<std::vector<cell>> all(buckets);
    while (auto pair = next()) {
        const auto& [key, value] = *pair;
        if (key.empty() || key.size() > CHAIN_HASH_KEY_MAX || value.size() > UINT16_MAX ||
            sizeof(chain_hash_page) + CHAIN_HASH_ENTRY + key.size() + value.size() > page_bytes)
            return with_hint(fail(E2BIG, "a pair of {} and {} bytes", key.size(), value.size()),
                             "keys have 1 to 255 bytes, and a pair fits a page");
        const unsigned n = chain_hash_bucket(reinterpret_cast<const rr_u8*>(key.data()),
                                             static_cast<rr_u32>(key.size()), buckets);
        all[n].push_back(std::move(*pair));
    }
    hash_pages pages{offset, page_bytes, buckets,
                     offset + page_bytes + uint64_t{buckets} * page_bytes, write};
    for (unsigned n = 0; n < buckets; n++)
        if (Status ok = pages.bucket(n, all[n]); !ok)
            return forward_error(ok.error());
    std::vector<uint8_t> page(page_bytes);
    chain_hash_head head{};
    head.version = first_version;
    head.buckets_offset = offset + page_bytes;
    head.magic = CHAIN_HASH_HEAD_MAGIC;
    head.page_bytes = page_bytes;
    head.buckets = buckets;
    seal(page, head, CHAIN_HASH_SUM_FROM, offset);
    if (Status ok = write(offset, page); !ok)
        return forward_error(ok.error());
    return pages.end - offset;
}

Result<uint64_t> rows_write(uint64_t offset, unsigned page_bytes, std::span<const uint8_t> rows,
                            unsigned row_bytes, const page_sink& write) {
    if (Status ok = check_place(offset, page_bytes); !ok)
        return forward_error(ok.error());
    const size_t a_page = row_bytes == 0 ? 0 : (page_bytes - sizeof(chain_rows_page)) / row_bytes;
    if (a_page == 0)
        return fail(EINVAL, "rows of {} bytes in pages of {}", row_bytes, page_bytes);
    uint64_t at = offset;
    do {
        const size_t count = std::min(a_page, rows.size() / row_bytes);
        std::vector<uint8_t> page(page_bytes);
        chain_rows_page head{};
        head.magic = CHAIN_ROWS_MAGIC;
        head.rows = static_cast<rr_u32>(count);
        head.row_bytes = row_bytes;
        std::copy_n(rows.begin(), count * row_bytes, page.begin() + sizeof(head));
        seal(page, head, CHAIN_ROWS_SUM_FROM, at);
        if (Status ok = write(at, page); !ok)
            return forward_error(ok.error());
        rows = rows.subspan(count * row_bytes);
        at += page_bytes;
    } while (!rows.empty());
    return at - offset;
}

}  // namespace rr::chained
