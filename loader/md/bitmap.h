// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// md's internal write-intent bitmap, version 4: which rows may be in the middle of
// a write.
//
// On each member, at the sector that its superblock names, between superblock and data:
// 256 bytes of header and then a bit for every chunk of the *member*, lowest first, in
// 4 KiB pages. It has no checksum. Source of the format: linux drivers/md/md-bitmap.h
// (struct bitmap_super_s) and md-bitmap.c (md_bitmap_read_sb, bitmap_load); the offsets
// are in bitmap.cpp.
//
// What makes it safe to believe, and who sees to that (service/bitmap.h, update.h):
//
//   a bit is durable on all members       before the first write to its rows
//   the header's events are durable on
//   all members                           before any superblock has them
//   rows durable on all members, none
//   missing, then events_cleared          before a bit goes
//
// So a copy whose events are not behind the array's is good by itself, and of several
// the union is taken. None: all rows count as being written.
//
// Bytes from disk are hostile: parse() believes the header only if its magic, version,
// uuid and sizes fit the superblock.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/io.h"
#include "base/result.h"
#include "md/superblock.h"

namespace rr::md {

struct bitmap_copy;

class bitmap {
public:
    static constexpr size_t page_bytes = 4096;
    static constexpr uint64_t default_chunk_sectors = 131072;  // 64 MiB, as mdadm's

    // Of an array whose members have @sync_sectors each; all bits are @full.
    // @chunk_sectors: of a member, a power of two.
    bitmap(const uuid& set_uuid, uint64_t sync_sectors, uint32_t chunk_sectors, bool full);

    [[nodiscard]] uint64_t bits() const { return bits_; }
    [[nodiscard]] uint32_t chunk_sectors() const { return chunk_sectors_; }
    [[nodiscard]] uint64_t sync_sectors() const { return sync_sectors_; }
    [[nodiscard]] bool test(uint64_t bit) const;
    [[nodiscard]] uint64_t count() const;
    // The bits of member sectors [from, to), to not beyond the end. All are one.
    void set(uint64_t from, uint64_t to);
    [[nodiscard]] bool any(uint64_t from, uint64_t to) const;
    void clear(uint64_t bit);
    void fill();

    [[nodiscard]] uint64_t events() const { return events_; }
    [[nodiscard]] uint64_t events_cleared() const { return events_cleared_; }
    [[nodiscard]] uint32_t daemon_sleep_seconds() const { return daemon_sleep_seconds_; }
    void set_events(uint64_t events);
    void set_events_cleared(uint64_t events);

    // What is on the disk: header and bits, in pages.
    [[nodiscard]] uint32_t pages() const;
    [[nodiscard]] uint64_t bytes() const { return bytes_.size(); }
    [[nodiscard]] std::span<const uint8_t> page(uint32_t number) const;
    // The pages changed since the last call, in order.
    [[nodiscard]] std::vector<uint32_t> take_changed();
    [[nodiscard]] std::vector<uint32_t> all_pages() const;

    // The union with @other, of the same array and shape.
    void merge(const bitmap& other);
    [[nodiscard]] bool same_shape(const bitmap& other) const {
        return chunk_sectors_ == other.chunk_sectors_ && sync_sectors_ == other.sync_sectors_;
    }

private:
    friend Result<bitmap> read_bitmap(int fd, const md_superblock& sb);
    friend std::optional<bitmap> join_bitmaps(std::vector<bitmap_copy> copies, uint64_t events);

    void store_header();
    void touch(uint64_t byte) { changed_[byte / page_bytes] = true; }

    uint64_t sync_sectors_;
    uint32_t chunk_sectors_;
    uint64_t bits_;
    uint64_t events_ = 0;
    uint64_t events_cleared_ = 0;
    uint32_t daemon_sleep_seconds_ = 5;
    aligned_buffer bytes_;
    std::vector<bool> changed_;
};

// The sector of a member at which its bitmap is, by its superblock.
[[nodiscard]] uint64_t bitmap_sector(const md_superblock& sb);

// How many bytes a bitmap there may have, up to the data or the bad block log; 0: it
// cannot be there.
[[nodiscard]] uint64_t bitmap_room(const md_superblock& sb);

// The chunk of a new bitmap: @wanted sectors, or where that is 0 md's default; as large
// as @room asks for. EINVAL: @wanted is none, or has too many bits for @room.
[[nodiscard]] Result<uint32_t> choose_bitmap_chunk(uint64_t sync_sectors, uint64_t room,
                                                   uint64_t wanted);

// The member's copy. ENODATA: none that fits @sb. EINVAL: it cannot be where @sb has it.
// O_DIRECT-safe.
[[nodiscard]] Result<bitmap> read_bitmap(int fd, const md_superblock& sb);

// Durable when it returns. EINVAL: there is no room for it, and nothing was written.
// O_DIRECT-safe.
[[nodiscard]] Status write_bitmap(int fd, const md_superblock& sb, const bitmap& image,
                                  std::span<const uint32_t> pages);

// The copies' union, when the array has @events; nothing, where no copy is good. All of its
// pages count as changed: a copy that lacks some of it, or was not good, gets them.
struct bitmap_copy {
    uint32_t role;
    bitmap copy;
};
[[nodiscard]] std::optional<bitmap> join_bitmaps(std::vector<bitmap_copy> copies, uint64_t events);

}  // namespace rr::md
