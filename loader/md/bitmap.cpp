// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Byte offsets of the header, little endian (struct bitmap_super_s):
//
//   0 magic   4 version   8 set uuid   24 events   32 events_cleared   40 sync_size
//  48 state  52 chunk, bytes   56 daemon_sleep, s   60 write_behind
//  64 sectors_reserved   68 nodes   72 cluster_name[64]   zeros up to 256
#include "md/bitmap.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "base/bytes.h"

namespace rr::md {
namespace {

constexpr uint32_t bitmap_magic = 0x6d746962;
constexpr uint32_t bitmap_version = 4;
constexpr uint32_t state_stale = 2;
constexpr size_t header_bytes = 256;
constexpr uint32_t chunk_sectors_least = 8;  // mdadm's
constexpr uint32_t chunk_sectors_most = 1U << 22;
constexpr uint32_t sleep_most = 3600;

namespace at {
constexpr size_t magic = 0, version = 4, set_uuid = 8, events = 24, events_cleared = 32,
                 sync_size = 40, state = 48, chunk_bytes = 52, daemon_sleep = 56;
}  // namespace at

uint64_t bits_for(uint64_t sync_sectors, uint64_t chunk_sectors) {
    return (sync_sectors + chunk_sectors - 1) / chunk_sectors;
}

uint64_t bytes_for(uint64_t sync_sectors, uint64_t chunk_sectors) {
    const uint64_t bytes = header_bytes + (bits_for(sync_sectors, chunk_sectors) + 7) / 8;
    return (bytes + bitmap::page_bytes - 1) / bitmap::page_bytes * bitmap::page_bytes;
}

}  // namespace

bitmap::bitmap(const uuid& set_uuid, uint64_t sync_sectors, uint32_t chunk_sectors, bool full)
    : sync_sectors_(sync_sectors),
      chunk_sectors_(chunk_sectors),
      bits_(bits_for(sync_sectors, chunk_sectors)),
      bytes_(bytes_for(sync_sectors, chunk_sectors)),
      changed_(bytes_.size() / page_bytes, true) {
    std::copy(set_uuid.begin(), set_uuid.end(), bytes_.span().begin() + at::set_uuid);
    store_header();
    if (full)
        fill();
}

void bitmap::store_header() {
    auto header = bytes_.span();
    store_le<uint32_t>(header, at::magic, bitmap_magic);
    store_le<uint32_t>(header, at::version, bitmap_version);
    store_le<uint64_t>(header, at::events, events_);
    store_le<uint64_t>(header, at::events_cleared, events_cleared_);
    store_le<uint64_t>(header, at::sync_size, sync_sectors_);
    store_le<uint32_t>(header, at::state, 0);
    store_le<uint32_t>(header, at::chunk_bytes, chunk_sectors_ << 9);
    store_le<uint32_t>(header, at::daemon_sleep, daemon_sleep_seconds_);
    touch(0);
}

bool bitmap::test(uint64_t bit) const {
    return (bytes_.span()[header_bytes + bit / 8] >> bit % 8 & 1) != 0;
}

uint64_t bitmap::count() const {
    uint64_t n = 0;
    for (uint64_t byte = 0; byte < bits_ / 8; byte++)
        n += static_cast<uint64_t>(std::popcount(bytes_.span()[header_bytes + byte]));
    for (uint64_t bit = bits_ / 8 * 8; bit < bits_; bit++)
        n += test(bit) ? 1 : 0;
    return n;
}

void bitmap::set(uint64_t from, uint64_t to) {
    for (uint64_t bit = from / chunk_sectors_; bit < bits_for(to, chunk_sectors_); bit++) {
        if (test(bit))
            continue;
        bytes_.span()[header_bytes + bit / 8] |= static_cast<uint8_t>(1U << bit % 8);
        touch(header_bytes + bit / 8);
    }
}

bool bitmap::any(uint64_t from, uint64_t to) const {
    for (uint64_t bit = from / chunk_sectors_; bit < bits_for(to, chunk_sectors_); bit++) {
        if (test(bit))
            return true;
    }
    return false;
}

void bitmap::clear(uint64_t bit) {
    if (!test(bit))
        return;
    bytes_.span()[header_bytes + bit / 8] &= static_cast<uint8_t>(~(1U << bit % 8));
    touch(header_bytes + bit / 8);
}

void bitmap::fill() {
    set(0, sync_sectors_);
}

void bitmap::set_events(uint64_t events) {
    events_ = events;
    // As md: events that went back take it along.
    events_cleared_ = std::min(events_cleared_, events_);
    store_header();
}

void bitmap::set_events_cleared(uint64_t events) {
    if (events == events_cleared_)
        return;
    events_cleared_ = events;
    store_header();
}

uint32_t bitmap::pages() const {
    return static_cast<uint32_t>(bytes_.size() / page_bytes);
}

std::span<const uint8_t> bitmap::page(uint32_t number) const {
    return bytes_.span().subspan(number * page_bytes, page_bytes);
}

std::vector<uint32_t> bitmap::all_pages() const {
    std::vector<uint32_t> out(pages());
    for (uint32_t i = 0; i < out.size(); i++)
        out[i] = i;
    return out;
}

std::vector<uint32_t> bitmap::take_changed() {
    std::vector<uint32_t> out;
    for (uint32_t i = 0; i < pages(); i++) {
        if (changed_[i])
            out.push_back(i);
        changed_[i] = false;
    }
    return out;
}

void bitmap::merge(const bitmap& other) {
    for (uint64_t byte = header_bytes; byte < bytes_.size(); byte++) {
        const uint8_t both = bytes_.span()[byte] | other.bytes_.span()[byte];
        if (both != bytes_.span()[byte])
            touch(byte);
        bytes_.span()[byte] = both;
    }
    events_cleared_ = std::min(events_cleared_, other.events_cleared_);
    store_header();
}

// For a bitmap log_place is its distance from the superblock.
uint64_t bitmap_sector(const md_superblock& sb) {
    return static_cast<uint64_t>(int64_t{sb_sector} + sb.log_place);
}

uint64_t bitmap_room(const md_superblock& sb) {
    const int64_t start = int64_t{sb_sector} + sb.log_place;
    if (start < int64_t{sb_sector + sb_bytes / 512} || start % 8 != 0 ||
        static_cast<uint64_t>(start) >= sb.data_offset)
        return 0;
    uint64_t end = sb.data_offset;
    const int64_t log = int64_t{sb_sector} + sb.bblog_offset;
    // Named or active, md may come to write there.
    if (sb.bblog_sectors != 0 && log + sb.bblog_sectors > start)
        end = std::min(end, static_cast<uint64_t>(std::max(log, start)));
    return (end - static_cast<uint64_t>(start)) * 512;
}

Result<uint32_t> choose_bitmap_chunk(uint64_t sync_sectors, uint64_t room, uint64_t wanted) {
    if (wanted != 0 && (!std::has_single_bit(wanted) || wanted < chunk_sectors_least ||
                        wanted > chunk_sectors_most))
        return with_hint(fail(EINVAL, "a bitmap chunk of {} bytes", wanted << 9),
                         "use a power of two from 4K to 2G");
    uint64_t chunk = wanted != 0 ? wanted : bitmap::default_chunk_sectors;
    while (bytes_for(sync_sectors, chunk) > room && chunk < chunk_sectors_most)
        chunk <<= 1;
    if (bytes_for(sync_sectors, chunk) > room)
        return fail(EINVAL, "{} bytes have no room for a bitmap", room);
    if (wanted != 0 && chunk != wanted)
        return with_hint(fail(EINVAL, "a bitmap chunk of {} bytes has too many bits", wanted << 9),
                         fmt::format("use {}K or more", chunk / 2));
    return static_cast<uint32_t>(chunk);
}

Result<bitmap> read_bitmap(int fd, const md_superblock& sb) {
    const uint64_t room = bitmap_room(sb);
    if (room < bitmap::page_bytes)
        return fail(EINVAL, "the bitmap at sector {} is misplaced",
                    int64_t{sb_sector} + sb.log_place);
    aligned_buffer page(bitmap::page_bytes);
    if (Status ok = read_exact(fd, page.span(), bitmap_sector(sb) * 512); !ok)
        return forward_error(ok.error());
    const auto header = page.span();
    const auto chunk_bytes = load_le<uint32_t>(header, at::chunk_bytes);
    const uint32_t chunk = chunk_bytes >> 9;
    if (load_le<uint32_t>(header, at::magic) != bitmap_magic ||
        load_le<uint32_t>(header, at::version) != bitmap_version ||
        !std::equal(sb.set_uuid.begin(), sb.set_uuid.end(), header.begin() + at::set_uuid) ||
        (load_le<uint32_t>(header, at::state) & state_stale) != 0 ||
        load_le<uint64_t>(header, at::sync_size) != sb.size || !std::has_single_bit(chunk_bytes) ||
        chunk == 0 || bytes_for(sb.size, chunk) > room)
        return fail(ENODATA, "no bitmap of this array");
    bitmap out(sb.set_uuid, sb.size, chunk, false);
    if (Status ok = read_exact(fd, out.bytes_.span(), bitmap_sector(sb) * 512); !ok)
        return forward_error(ok.error());
    const auto found = out.bytes_.span();
    out.events_ = load_le<uint64_t>(found, at::events);
    out.events_cleared_ = load_le<uint64_t>(found, at::events_cleared);
    out.daemon_sleep_seconds_ =
        std::clamp(load_le<uint32_t>(found, at::daemon_sleep), 1U, sleep_most);
    out.changed_.assign(out.pages(), false);
    return out;
}

Status write_bitmap(int fd, const md_superblock& sb, const bitmap& image,
                    std::span<const uint32_t> pages) {
    // Whatever came before: neither superblock nor data.
    if (bitmap_room(sb) < image.bytes())
        return fail(EINVAL, "the bitmap has no place at sector {}",
                    int64_t{sb_sector} + sb.log_place);
    for (size_t i = 0; i < pages.size();) {
        // Clients may wait for all of them: what lies together is written at once.
        size_t n = 1;
        while (i + n < pages.size() && pages[i + n] == pages[i] + n)
            n++;
        const std::span<const uint8_t> run(image.page(pages[i]).data(), n * bitmap::page_bytes);
        if (Status ok = write_exact(
                fd, run, bitmap_sector(sb) * 512 + uint64_t{pages[i]} * bitmap::page_bytes);
            !ok)
            return ok;
        i += n;
    }
    return pages.empty() ? Status{} : sync_data(fd);
}

std::optional<bitmap> join_bitmaps(std::vector<bitmap_copy> copies, uint64_t events) {
    std::optional<bitmap> out;
    for (bitmap_copy& one : copies) {
        if (one.copy.events() < events)
            continue;
        if (!out)
            out.emplace(std::move(one.copy));
        else if (out->same_shape(one.copy))
            out->merge(one.copy);
        else
            return std::nullopt;
    }
    // Each may lack what others have.
    if (out)
        out->changed_.assign(out->pages(), true);
    return out;
}

}  // namespace rr::md
