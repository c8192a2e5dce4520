// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "resync/resync.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/io.h"
#include "resync/parallel.h"

namespace rr {
namespace {

constexpr uint64_t sector_bytes = 512;
constexpr uint64_t row_bytes = 4096;  // smallest read that every member takes

bool cancelled(const std::atomic<bool>* cancel) {
    return cancel != nullptr && cancel->load(std::memory_order_relaxed);
}

uint64_t nonzero_sectors(std::span<const uint8_t> bytes) {
    static constexpr uint8_t zero[sector_bytes] = {};
    uint64_t count = 0;
    for (size_t at = 0; at < bytes.size(); at += sector_bytes)
        count += std::memcmp(bytes.data() + at, zero, sector_bytes) != 0;
    return count;
}

class resyncer {
public:
    resyncer(const rr_geometry& g, const std::vector<resync_member>& members,
             const resync_options& options)
        : g_(g),
          members_(members),
          options_(options),
          chunk_bytes_(sector_bytes << g.chunk_shift),
          batch_stripes_(std::max<uint64_t>(1, options.batch_bytes / chunk_bytes_)),
          parity_(chunk_bytes_),
          touched_(members.size(), false) {
        for (size_t i = 0; i < members.size(); i++)
            buffers_.emplace_back(batch_stripes_ * chunk_bytes_);
    }

    tl::expected<resync_report, resync_fault> run() {
        while (report_.stripes_done < options_.stripes) {
            if (cancelled(options_.cancel)) {
                report_.cancelled = true;
                break;
            }
            const uint64_t first = options_.first_stripe + report_.stripes_done;
            const uint64_t count =
                std::min(batch_stripes_, options_.stripes - report_.stripes_done);
            if (!batch(first, count))
                return tl::unexpected<resync_fault>(std::move(*fault_));
            report_.stripes_done += count;
            if (options_.progress)
                options_.progress(report_.stripes_done * chunk_bytes_,
                                  options_.stripes * chunk_bytes_);
        }
        if (!flush())
            return tl::unexpected<resync_fault>(std::move(*fault_));
        return report_;
    }

private:
    uint64_t byte_of(uint32_t role, uint64_t stripe) const {
        return members_[role].data_offset * sector_bytes + stripe * chunk_bytes_;
    }

    std::span<uint8_t> chunk_of(uint32_t role, uint64_t index) {
        return buffers_[role].span().subspan(index * chunk_bytes_, chunk_bytes_);
    }

    bool failed(uint32_t role, uint64_t byte, bool write, Error error) {
        fault_ = resync_fault{std::move(error), role, byte / sector_bytes, write, report_};
        return false;
    }

    // False when fault_ is set.
    bool batch(uint64_t first, uint64_t count) {
        const auto reads = on_all_members(members_.size(), [&](size_t role) {
            return read_exact(members_[role].fd, buffers_[role].span().first(count * chunk_bytes_),
                              byte_of(static_cast<uint32_t>(role), first));
        });
        const bool whole = !first_failure(reads);
        for (uint64_t index = 0; index < count; index++) {
            if (whole ? !verify(first + index, index) : !rebuild(first + index))
                return false;
        }
        return true;
    }

    // parity_ := XOR of the whole stripe; zero when its parity is right.
    bool verify(uint64_t stripe, uint64_t index) {
        std::ranges::fill(parity_.span(), uint8_t{0});
        for (uint32_t role = 0; role < g_.members; role++)
            xor_into(parity_.span().first(chunk_bytes_), chunk_of(role, index));
        const uint32_t role = rr_parity_member(&g_, stripe);
        const uint64_t wrong = nonzero_sectors(parity_.span().first(chunk_bytes_));
        if (wrong == 0)
            return true;
        count_mismatch(wrong);
        xor_into(parity_.span().first(chunk_bytes_), chunk_of(role, index));
        return write_parity(stripe, role);
    }

    // One stripe from its data alone, when a long read failed.
    bool rebuild(uint64_t stripe) {
        const uint32_t parity = rr_parity_member(&g_, stripe);
        const auto sum = parity_.span().first(chunk_bytes_);
        std::ranges::fill(sum, uint8_t{0});
        for (uint32_t index = 0; index + 1 < g_.members; index++) {
            const uint32_t role = rr_data_member(&g_, parity, index);
            if (!read_exact(members_[role].fd, chunk_of(role, 0), byte_of(role, stripe)) &&
                !read_by_row(role, stripe))
                return false;
            xor_into(sum, chunk_of(role, 0));
        }
        const auto old = chunk_of(parity, 0);
        if (!read_exact(members_[parity].fd, old, byte_of(parity, stripe))) {
            count_mismatch(chunk_bytes_ / sector_bytes);
            return write_parity(stripe, parity);
        }
        xor_into(old, sum);
        const uint64_t wrong = nonzero_sectors(old);
        if (wrong == 0)
            return true;
        count_mismatch(wrong);
        return write_parity(stripe, parity);
    }

    // A data chunk row by row; where a row cannot be read it is rebuilt, if
    // the caller allows it, and written again.
    bool read_by_row(uint32_t role, uint64_t stripe) {
        for (uint64_t at = 0; at < chunk_bytes_; at += row_bytes) {
            const auto row = chunk_of(role, 0).subspan(at, row_bytes);
            const uint64_t byte = byte_of(role, stripe) + at;
            auto read = read_exact(members_[role].fd, row, byte);
            if (read)
                continue;
            if (!options_.trust_parity)
                return failed(role, byte, false, read.error());
            if (!rebuild_row(role, row, stripe * chunk_bytes_ + at))
                return false;
            if (auto written = write_row(role, row, byte); !written)
                return failed(role, byte, true, written.error());
            report_.rows_rebuilt++;
        }
        return true;
    }

    // @row := XOR of the other members at @offset of their data.
    bool rebuild_row(uint32_t role, std::span<uint8_t> row, uint64_t offset) {
        aligned_buffer peer(row_bytes);
        std::ranges::fill(row, uint8_t{0});
        for (uint32_t other = 0; other < members_.size(); other++) {
            const uint64_t byte = byte_of(other, 0) + offset;
            if (other == role)
                continue;
            if (auto read = read_exact(members_[other].fd, peer.span(), byte); !read)
                return failed(other, byte, false, read.error());
            xor_into(row, peer.span());
        }
        return true;
    }

    Status write_row(uint32_t role, std::span<const uint8_t> row, uint64_t byte) {
        if (options_.mode == resync_mode::check)
            return {};
        touched_[role] = true;
        return write_exact(members_[role].fd, row, byte);
    }

    void count_mismatch(uint64_t sectors) {
        report_.stripes_mismatched++;
        report_.sectors_mismatched += sectors;
    }

    bool write_parity(uint64_t stripe, uint32_t role) {
        if (options_.mode == resync_mode::check)
            return true;
        const uint64_t at = byte_of(role, stripe);
        const auto chunk = parity_.span().first(chunk_bytes_);
        if (auto written = write_exact(members_[role].fd, chunk, at); !written)
            return failed(role, at, true, written.error());
        touched_[role] = true;
        return true;
    }

    bool flush() {
        for (uint32_t role = 0; role < members_.size(); role++) {
            if (!touched_[role])
                continue;
            if (auto synced = sync_data(members_[role].fd); !synced)
                return failed(role, byte_of(role, options_.first_stripe), true, synced.error());
        }
        return true;
    }

    const rr_geometry& g_;
    const std::vector<resync_member>& members_;
    const resync_options& options_;
    const uint64_t chunk_bytes_;
    const uint64_t batch_stripes_;
    std::vector<aligned_buffer> buffers_;  // by role
    aligned_buffer parity_;
    std::vector<bool> touched_;  // by role: must be flushed
    resync_report report_;
    std::optional<resync_fault> fault_;
};

}  // namespace

// Plain words: compilers turn the loop into the widest vectors they may use.
void xor_into(std::span<uint8_t> into, std::span<const uint8_t> from) {
    assert(into.size() == from.size());
    uint8_t* const to = into.data();
    const uint8_t* const with = from.data();
    const size_t bytes = into.size();
    for (size_t i = 0; i < bytes; i++)
        to[i] = static_cast<uint8_t>(to[i] ^ with[i]);
}

tl::expected<resync_report, resync_fault> resync(const rr_geometry& g,
                                                 const std::vector<resync_member>& members,
                                                 const resync_options& options) {
    assert(rr_geometry_valid(&g) && members.size() == g.members && options.stripes > 0);
    return resyncer(g, members, options).run();
}

}  // namespace rr
