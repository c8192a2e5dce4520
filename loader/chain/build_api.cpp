// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "chain/chain_build.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>

#include "chain/api_error.h"
#include "chain/btree_build.h"
#include "chain/table_build.h"

namespace {

// Memory that O_DIRECT takes.
struct aligned_page {
    explicit aligned_page(size_t bytes)
        : memory(static_cast<uint8_t*>(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096)),
                 std::free) {}
    std::unique_ptr<uint8_t, void (*)(void*)> memory;
};

class file_writer {
public:
    file_writer(int fd, size_t page_bytes) : fd_(fd), page_(page_bytes) {}

    rr::Status operator()(uint64_t at, const std::vector<uint8_t>& page) {
        if (!page_.memory)
            return rr::fail(ENOMEM, "no memory for a page");
        std::memcpy(page_.memory.get(), page.data(), page.size());
        const ssize_t n = ::pwrite(fd_, page_.memory.get(), page.size(), static_cast<off_t>(at));
        if (n != static_cast<ssize_t>(page.size()))
            return rr::fail(n < 0 ? errno : ENOSPC, "cannot write {} bytes at {}", page.size(), at);
        return {};
    }

    [[nodiscard]] rr::Status sync() const {
        return ::fsync(fd_) == 0 ? rr::Status{} : rr::fail(errno, "cannot sync");
    }

private:
    int fd_;
    aligned_page page_;
};

// The pairs of the caller, one after the other.
auto pairs_of(rr_chain_next next, void* arg) {
    return [next, arg]() -> std::optional<rr::chained::cell> {
        rr_chain_pair p{};
        if (next(&p, arg) == 0)
            return {};
        return rr::chained::cell{{static_cast<const char*>(p.key), p.key_bytes},
                                 {static_cast<const char*>(p.value), p.value_bytes}};
    };
}

rr::Status has_pairs(rr_chain_next next) {
    return next != nullptr ? rr::Status{} : rr::fail(EINVAL, "there is nobody to give pairs");
}

// What the first page leads to is durable before it.
auto root_last(file_writer& file, uint64_t root) {
    return [&file, root](uint64_t at, const std::vector<uint8_t>& page) -> rr::Status {
        if (at == root)
            if (rr::Status ok = file.sync(); !ok)
                return ok;
        return file(at, page);
    };
}

}  // namespace

extern "C" int rr_hash_write(int fd, uint64_t offset, unsigned page_bytes, unsigned buckets,
                             rr_chain_next next, void* arg, uint64_t* bytes) {
    return rr::chained::guarded([&] {
        if (rr::Status ok = has_pairs(next); !ok)
            return rr::chained::failed(ok.error());
        file_writer file(fd, page_bytes);
        auto written = rr::chained::hash_write(offset, page_bytes, buckets, pairs_of(next, arg),
                                               root_last(file, offset));
        if (!written)
            return rr::chained::failed(written.error());
        if (rr::Status ok = file.sync(); !ok)
            return rr::chained::failed(ok.error());
        if (bytes != nullptr)
            *bytes = *written;
        return 0;
    });
}

extern "C" int64_t rr_rows_write(int fd, uint64_t offset, unsigned page_bytes, const void* rows,
                                 uint64_t count, unsigned row_bytes) {
    int64_t bytes = 0;
    const int failed = rr::chained::guarded([&] {
        if (rows == nullptr && count != 0)
            return rr::chained::failed(rr::fail(EINVAL, "there are no rows").value());
        file_writer file(fd, page_bytes);
        auto written = rr::chained::rows_write(
            offset, page_bytes, {static_cast<const uint8_t*>(rows), count * row_bytes}, row_bytes,
            [&file](uint64_t at, const std::vector<uint8_t>& page) { return file(at, page); });
        if (!written)
            return rr::chained::failed(written.error());
        if (rr::Status ok = file.sync(); !ok)
            return rr::chained::failed(ok.error());
        bytes = static_cast<int64_t>(*written);
        return 0;
    });
    return failed != 0 ? failed : bytes;
}

extern "C" int rr_btree_write(int fd, uint64_t offset, unsigned page_bytes, unsigned pairs_most,
                              rr_chain_next next, void* arg, struct rr_btree_info* ret) {
    return rr::chained::guarded([&] {
        if (rr::Status ok = has_pairs(next); !ok)
            return rr::chained::failed(ok.error());
        file_writer file(fd, page_bytes);
        auto info = rr::chained::btree_write(offset, page_bytes, pairs_most, pairs_of(next, arg),
                                             root_last(file, offset));
        if (!info)
            return rr::chained::failed(info.error());
        if (rr::Status ok = file.sync(); !ok)
            return rr::chained::failed(ok.error());
        if (ret != nullptr)
            *ret = *info;
        return 0;
    });
}
