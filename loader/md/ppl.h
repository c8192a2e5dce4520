// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// md's partial parity log (PPL): what parity was made of, of the rows that may have been
// in the middle of a write when the machine stopped.
//
// On each member, where its superblock names it, between superblock and data. A stripe's
// entry is in the log of the member that has the stripe's parity. The area holds units,
// one behind the other, and begins anew where the next would not fit:
//
//   | header 4 KiB | partial parity of entry 0 | of entry 1 ... | header | ...
//
//   data0    data1    data2    partial parity    parity after recovery
//   ------   -data-   -data-   data0             partial ^ data1 ^ data2
//
// The partial parity is the XOR of what the write leaves alone. It is durable before the
// write begins, so whichever blocks of the row are new and whichever are old, parity made
// of it and of the blocks as they are is right, and what nobody wrote can be computed from
// it. Source of the format: linux include/uapi/linux/raid/md_p.h (struct ppl_header) and
// drivers/md/raid5-ppl.c; the offsets are in ppl.cpp.
//
// Which unit counts: headers are followed from the area's start for as long as checksum
// and signature (of the array's uuid) hold and generations do not fall; the last one is the
// newest, and it alone counts: of all before it the rows are durable. A header that does not
// hold is one whose write was cut off: no row of it was begun.
//
// Bytes from disk are hostile. md follows an entry wherever it points, and stops the
// machine (BUG) where its stripe has another parity member. Here read_ppl() believes a log
// whole or not at all: after it, every entry is of this member's own parity, within one
// stripe and within the array, and its partial parity is in memory. Nothing is written
// before that. What it cannot know is who wrote: a client's data is in the log, too, and
// may look like a header behind the newest unit. So what is behind a unit is zeroes, or
// a header of our own that is older (engine/log_writer.h).
//
// Positions and sizes are 512-byte sectors, unless named otherwise.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "md/superblock.h"
#include "md/whitelist.h"
#include "ringraid/geometry.h"

namespace rr::md {

inline constexpr size_t ppl_header_bytes = 4096;
inline constexpr uint32_t ppl_entries_most = 148;
inline constexpr uint64_t ppl_sectors_least = 264;  // a header and 128 KiB: mdadm's least

// Where the member's log is, as md rounds it. EINVAL: not between superblock and data, or on
// a bad block log.
[[nodiscard]] Result<sector_range> locate_ppl(const md_superblock& sb);

struct ppl_entry {
    uint64_t data_sector = 0;  // of the array
    uint32_t pp_bytes = 0;
    uint32_t data_bytes = 0;
    uint32_t parity_role = 0;
    uint32_t sum = 0;
    size_t pp_at = 0;   // in the unit's partial parity
    bool torn = false;  // which is not what `sum` says
};

struct ppl_unit {
    uint64_t place = 0;  // sectors from the area's start
    uint64_t generation = 0;
    std::vector<ppl_entry> entries;
    std::vector<uint8_t> pp;

    [[nodiscard]] std::span<const uint8_t> pp_of(const ppl_entry& entry) const {
        return std::span(pp).subspan(entry.pp_at, entry.pp_bytes);
    }
    [[nodiscard]] size_t torn() const;
};

// Of the member in `role`.
struct ppl_shape {
    rr_geometry geometry{};
    uint64_t array_sectors = 0;
    uuid set_uuid{};
    uint32_t role = 0;
    uint64_t area_sectors = 0;
    uint32_t block_bytes = 512;  // rows begin and end on such blocks
};

// Reads from @sector of the area.
using ppl_reader = std::function<Status(uint64_t sector, std::span<uint8_t> into)>;

// The newest unit; nothing: no header holds. EBADMSG, with the reason: sums hold, and what
// they are of cannot be of this member of this array. Else the reader's error.
[[nodiscard]] Result<std::optional<ppl_unit>> read_ppl(const ppl_reader& reader,
                                                       const ppl_shape& shape);

// The same from the open member @fd that has @sb. O_DIRECT-safe.
[[nodiscard]] Result<std::optional<ppl_unit>> read_ppl(int fd, const md_superblock& sb,
                                                       const rr_geometry& geometry, uint32_t role,
                                                       uint32_t block_bytes);

// Rows of an entry in which the same chunks are written: blocks of `sectors` at `offset` of
// `disks` chunks of the stripe, the first of which is `index` (0..D-1).
struct ppl_rows {
    uint64_t stripe = 0;
    uint32_t offset = 0;
    uint32_t sectors = 0;
    uint32_t index = 0;
    uint32_t disks = 0;
    uint32_t pp_at = 0;   // bytes, in the entry's partial parity
    bool has_pp = false;  // it has none: all of the row is written
};

// One piece or two, in the order of `offset`. EBADMSG as of read_ppl(), which has asked.
[[nodiscard]] Result<std::vector<ppl_rows>> rows_of(const ppl_entry& entry, const ppl_shape& shape);

// A log that says that nothing is in flight: the first 4 KiB of an area that is zero.
[[nodiscard]] std::array<uint8_t, ppl_header_bytes> empty_ppl(const uuid& set_uuid);

// What a log lies on, sectors from the member's start. A flush makes durable what was
// written before it.
struct ppl_device {
    std::function<Status(uint64_t sector, std::span<const uint8_t> bytes)> write;
    std::function<Status()> flush;
};

// The area: zeroes, and then the empty log. Durable when it returns. Cut off anywhere the log
// says what it said, or that no header holds; never what an older unit says.
[[nodiscard]] Status write_empty_ppl(const ppl_device& device, const uuid& set_uuid,
                                     const sector_range& area);
// ... of the open member.
[[nodiscard]] Status write_empty_ppl(int fd, const uuid& set_uuid, const sector_range& area);

struct new_ppl_entry {
    uint64_t data_sector = 0;
    uint32_t data_bytes = 0;
    uint32_t parity_role = 0;
    std::span<const uint8_t> pp{};
};

// Header and partial parity, at the start of @into; its bytes. At most ppl_entries_most
// entries. Behind it there must be nothing that could be taken for a newer header.
size_t build_ppl_unit(std::span<uint8_t> into, const uuid& set_uuid, uint64_t generation,
                      std::span<const new_ppl_entry> entries);
// The same, and a block of zeroes.
[[nodiscard]] std::vector<uint8_t> build_ppl_unit(const uuid& set_uuid, uint64_t generation,
                                                  const std::vector<new_ppl_entry>& entries);

}  // namespace rr::md
