// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/content.h"

#include <sys/mman.h>
#include <unistd.h>

#include <blkid/blkid.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <string>
#include <string_view>

#include "base/io.h"
#include "ringraid/abi.h"

namespace rr {
namespace {

// Signatures of file systems and tables begin in here.
constexpr uint64_t looked_at_bytes = 2 << 20;
constexpr uint32_t small_block_bytes = 512;
constexpr int findings_most = 64;
constexpr const char* way_out =
    "start without that member (--degraded) to reach the data; then put a disk of smaller "
    "blocks in its place, or make the content anew with blocks that are large enough";

using probe_handle = std::unique_ptr<blkid_struct_probe, decltype(&blkid_free_probe)>;

std::string lookup(blkid_probe probe, const char* name) {
    const char* value = nullptr;
    return blkid_probe_lookup_value(probe, name, &value, nullptr) == 0 ? value : "";
}

uint32_t lookup_number(blkid_probe probe, const char* name) {
    const std::string text = lookup(probe, name);
    uint32_t value = 0;
    (void)std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

Result<probe_handle> make_probe(int fd, uint32_t block_bytes) {
    probe_handle probe(blkid_new_probe(), blkid_free_probe);
    if (!probe || blkid_probe_set_device(probe.get(), fd, 0, 0) != 0 ||
        blkid_probe_set_sectorsize(probe.get(), block_bytes) != 0)
        return fail(EIO, "cannot look at the array's content");
    return probe;
}

// A table of large blocks has its header on the second of them.
bool has_large_table(int fd, uint32_t block_bytes) {
    auto probe = make_probe(fd, block_bytes);
    if (!probe)
        return false;
    blkid_probe_enable_superblocks(probe->get(), 0);
    blkid_probe_enable_partitions(probe->get(), 1);
    return blkid_do_probe(probe->get()) == 0 && lookup(probe->get(), "PTTYPE") == "gpt";
}

bool read_data(const array_members& members, uint32_t role, uint64_t sector,
               std::span<uint8_t> into) {
    const auto& device = members.devices[role];
    if (!device)
        return false;
    const uint64_t start = members.plan.members[role]->superblock.data_offset + sector;
    return read_exact(device->fd.get(), into, start << RR_SECTOR_SHIFT).has_value();
}

// What @role holds, from all the others.
bool compute_data(const array_members& members, uint32_t role, uint64_t sector,
                  std::span<uint8_t> into) {
    aligned_buffer part(into.size());
    std::fill(into.begin(), into.end(), uint8_t{0});
    for (uint32_t other = 0; other < members.devices.size(); other++) {
        if (other == role)
            continue;
        if (!read_data(members, other, sector, part.span().first(into.size())))
            return false;
        std::transform(into.begin(), into.end(), part.data(), into.begin(),
                       [](uint8_t a, uint8_t b) { return static_cast<uint8_t>(a ^ b); });
    }
    return true;
}

Status check_alignment(const array_members& members) {
    for (size_t role = 0; role < members.devices.size(); role++) {
        const auto& device = members.devices[role];
        if (!device)
            continue;
        const uint64_t block = device->logical_block_bytes >> RR_SECTOR_SHIFT;
        const md::md_superblock& sb = members.plan.members[role]->superblock;
        if (sb.data_offset % block != 0 || members.plan.member_sectors % block != 0)
            return with_hint(
                fail(ENOTSUP, "the data of {} begins or ends within a block of {} bytes",
                     device->path, device->logical_block_bytes),
                "replace it by a disk of smaller blocks");
    }
    return {};
}

bool is_mixed(const array_members& members) {
    return std::any_of(members.devices.begin(), members.devices.end(), [&](const auto& device) {
        return device && device->logical_block_bytes < members.logical_block_bytes;
    });
}

// A file as large as the array that begins as it does.
Result<Fd> first_bytes(const array_members& members) {
    const uint64_t bytes = members.plan.array_sectors << RR_SECTOR_SHIFT;
    aligned_buffer head(std::min(looked_at_bytes, bytes));
    if (Status ok = read_array(members, 0, head.span()); !ok)
        return forward_error(ok.error());
    Fd file(::memfd_create("content", MFD_CLOEXEC));
    if (!file || ::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0)
        return fail(errno, "cannot make a file in memory");
    if (Status ok = write_exact(file.get(), head.span(), 0); !ok)
        return forward_error(ok.error());
    return file;
}

}  // namespace

Status read_array(const array_members& members, uint64_t sector, std::span<uint8_t> into) {
    const rr_geometry& g = members.plan.geometry;
    const uint64_t chunk_sectors = uint64_t{1} << g.chunk_shift;
    for (size_t done = 0; done < into.size();) {
        const uint64_t at = sector + (done >> RR_SECTOR_SHIFT);
        const uint64_t left = (chunk_sectors - at % chunk_sectors) << RR_SECTOR_SHIFT;
        auto part = into.subspan(done, std::min<uint64_t>(left, into.size() - done));
        const rr_location place = rr_locate(&g, at);
        if (!read_data(members, place.member, place.member_sector, part) &&
            !compute_data(members, place.member, place.member_sector, part))
            return fail(EIO, "cannot read the array's sector {}", at);
        done += part.size();
    }
    return {};
}

Status check_content(int fd, uint32_t logical_block_bytes) {
    auto probe = make_probe(fd, small_block_bytes);
    if (!probe)
        return forward_error(probe.error());
    blkid_probe_enable_superblocks(probe->get(), 1);
    blkid_probe_set_superblocks_flags(probe->get(), BLKID_SUBLKS_TYPE | BLKID_SUBLKS_FSINFO);
    blkid_probe_enable_partitions(probe->get(), 1);
    const bool large_table = has_large_table(fd, logical_block_bytes);
    for (int i = 0; i < findings_most && blkid_do_probe(probe->get()) == 0; i++) {
        const std::string table = lookup(probe->get(), "PTTYPE");
        if (!table.empty() && !large_table)
            return with_hint(fail(ENOTSUP,
                                  "the array has a {} partition table for blocks of {} bytes, and "
                                  "a member with blocks of {}",
                                  table, small_block_bytes, logical_block_bytes),
                             way_out);
        const uint32_t block = lookup_number(probe->get(), "BLOCK_SIZE");
        if (block != 0 && block < logical_block_bytes)
            return with_hint(fail(ENOTSUP,
                                  "the array has a {} file system with blocks of {} bytes, and a "
                                  "member with blocks of {}",
                                  lookup(probe->get(), "TYPE"), block, logical_block_bytes),
                             way_out);
    }
    return {};
}

Status check_block_size(const array_members& members) {
    if (Status ok = check_alignment(members); !ok)
        return ok;
    // What the superblocks record the array has had all along.
    if (!is_mixed(members) || members.plan.logical_block_bytes == members.logical_block_bytes)
        return {};
    auto content = first_bytes(members);
    if (!content)
        return forward_error(content.error());
    return check_content(content->get(), members.logical_block_bytes);
}

}  // namespace rr
