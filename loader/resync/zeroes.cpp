// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "resync/zeroes.h"

#include <fcntl.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <random>

#include "base/io.h"
#include "resync/parallel.h"

namespace rr {
namespace {

constexpr uint64_t sector_bytes = 512;
constexpr uint64_t step_bytes = 64 * 1024 * 1024;  // between two looks at whether to stop
constexpr uint64_t place_bytes = io_alignment;

Status zero_range(int fd, uint64_t at, uint64_t bytes) {
    while (::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(at),
                       static_cast<off_t>(bytes)) != 0) {
        if (errno != EINTR)
            return fail(errno, "zeroing {} bytes at byte {}", bytes, at);
    }
    return {};
}

// The first byte of @place that is not zero.
uint64_t first_nonzero(std::span<const uint8_t> place) {
    return static_cast<uint64_t>(std::ranges::find_if(place, [](uint8_t b) { return b != 0; }) -
                                 place.begin());
}

// Where it looks, the same on each member; in order, as a rotating disk likes it.
std::vector<uint64_t> places(uint64_t sectors, uint64_t seed) {
    const uint64_t count = sectors * sector_bytes / place_bytes;
    std::mt19937_64 random(seed);
    std::vector<uint64_t> out = {0, sectors * sector_bytes - place_bytes};
    while (out.size() < zero_samples)
        out.push_back(random() % count * place_bytes);
    std::ranges::sort(out);
    return out;
}

// @bad: the byte that is wrong, from the device's start.
Status sample_member(const resync_member& member, const std::vector<uint64_t>& where,
                     uint64_t& bad) {
    aligned_buffer place(place_bytes);
    for (const uint64_t at : where) {
        bad = member.data_offset * sector_bytes + at;
        if (Status read = read_exact(member.fd, place.span(), bad); !read)
            return read;
        const uint64_t wrong = first_nonzero(place.span());
        if (wrong == place_bytes)
            continue;
        bad += wrong;
        return fail(EIO, "byte {} should be zero", bad);
    }
    return {};
}

}  // namespace

tl::expected<void, resync_fault> zero_members(
    const std::vector<resync_member>& members, uint64_t sectors,
    const std::function<void(uint64_t done, uint64_t total)>& progress,
    const std::atomic<bool>* cancel) {
    const uint64_t total = sectors * sector_bytes;
    const auto fault = [&](uint32_t role, uint64_t at, Error error) {
        return tl::unexpected<resync_fault>(resync_fault{
            std::move(error), role, members[role].data_offset + at / sector_bytes, true, {}});
    };
    for (uint64_t done = 0; done < total;) {
        if (cancel != nullptr && cancel->load(std::memory_order_relaxed))
            return fault(0, done, Error{ECANCELED, "zeroing was cancelled", {}});
        const uint64_t bytes = std::min(step_bytes, total - done);
        const auto zeroed = on_all_members(members.size(), [&](size_t role) {
            return zero_range(members[role].fd, members[role].data_offset * sector_bytes + done,
                              bytes);
        });
        if (const auto role = first_failure(zeroed))
            return fault(*role, done, zeroed[*role].error());
        done += bytes;
        if (progress)
            progress(done, total);
    }
    const auto synced =
        on_all_members(members.size(), [&](size_t role) { return sync_data(members[role].fd); });
    if (const auto role = first_failure(synced))
        return fault(*role, 0, synced[*role].error());
    return {};
}

tl::expected<void, resync_fault> sample_zeroes(const std::vector<resync_member>& members,
                                               uint64_t sectors, uint64_t seed) {
    assert(sectors * sector_bytes >= place_bytes);
    const auto where = places(sectors, seed);
    std::vector<uint64_t> bad(members.size());
    const auto looked = on_all_members(members.size(), [&](size_t role) {
        return sample_member(members[role], where, bad[role]);
    });
    if (const auto role = first_failure(looked))
        return tl::unexpected<resync_fault>(
            resync_fault{looked[*role].error(), *role, bad[*role] / sector_bytes, false, {}});
    return {};
}

}  // namespace rr
