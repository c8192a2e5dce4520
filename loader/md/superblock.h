// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// md's superblock, version 1.2: 4096 bytes at sector 8 of each member.
//
// Source of the format: linux include/uapi/linux/raid/md_p.h (struct
// mdp_superblock_1) and drivers/md/md.c (super_1_load, super_1_sync); the
// table of offsets is in superblock.cpp. mdadm and the kernel judge what is
// written here.
//
// Bytes from disk are hostile until proven otherwise. parse() believes a
// block only after its magic, version, checksum, own position, role table and
// every sum of sizes hold; whatever it returns can be used without a further
// overflow check. It does not ask whether the array is one that we can serve:
// that is whitelist.h.
//
// What we do not understand we keep: `raw` holds the block as it was read,
// and serialize() lays the known fields over it, so a rewrite changes only
// what was meant to change. A torn write spoils one member at worst; update.h
// writes members one after the other for that reason.
//
// Units: all positions and sizes are 512-byte sectors, as on disk.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace rr::md {

inline constexpr uint64_t sb_sector = 8;
inline constexpr size_t sb_bytes = 4096;
inline constexpr size_t sb_header_bytes = 256;  // the role table starts here
inline constexpr uint32_t max_dev_limit = (sb_bytes - sb_header_bytes) / 2;
inline constexpr uint64_t sectors_limit = 1ULL << 54;  // byte offsets fit an off_t
inline constexpr uint64_t resync_none = ~0ULL;         // resync_offset of a clean array
inline constexpr int32_t level_raid5 = 5;

// Values of the role table that name no position in the array.
enum role : uint16_t {
    role_journal = 0xfffd,
    role_faulty = 0xfffe,
    role_spare = 0xffff,
};

// Bits of feature_map (md_p.h MD_FEATURE_*).
enum feature : uint32_t {
    feature_bitmap = 1U << 0,
    feature_recovery_offset = 1U << 1,
    feature_reshape = 1U << 2,
    feature_bad_blocks = 1U << 3,
    feature_replacement = 1U << 4,
    feature_reshape_backwards = 1U << 5,
    feature_new_offset = 1U << 6,
    feature_recovery_bitmap = 1U << 7,
    feature_clustered = 1U << 8,
    feature_journal = 1U << 9,
    feature_ppl = 1U << 10,
    feature_multiple_ppls = 1U << 11,
    feature_raid0_layout = 1U << 12,
};
inline constexpr uint32_t ppl_features = feature_ppl | feature_multiple_ppls;

// What is known after a crash of the rows that were being written.
enum class consistency : uint8_t {
    resync,  // nothing: all parity is recomputed
    bitmap,  // where they lay (bitmap.h)
    ppl,     // how to make their parity right (ppl.h)
};
[[nodiscard]] const char* to_string(consistency policy);
[[nodiscard]] std::optional<consistency> parse_consistency(const std::string& text);

using uuid = std::array<uint8_t, 16>;

// As mdadm prints it: 8:8:8:8 hex digits.
[[nodiscard]] std::string to_string(const uuid& id);
// 32 hex digits, with colons or dashes wherever they are. EINVAL: anything else.
[[nodiscard]] Result<uuid> parse_uuid(const std::string& text);

struct md_superblock {
    // The same on every member of an array.
    uint32_t feature_map = 0;
    uuid set_uuid{};
    std::string set_name;  // up to 32 bytes, "host:name"
    uint64_t ctime = 0;    // low 40 bits seconds, high 24 bits microseconds
    int32_t level = 0;
    uint32_t layout = 0;
    uint64_t size = 0;  // sectors used on each member
    uint32_t chunk_sectors = 0;
    uint32_t raid_disks = 0;
    uint64_t utime = 0;  // as ctime
    uint64_t events = 0;
    uint64_t resync_offset = 0;  // resync_none when clean
    uint32_t logical_block_size = 0;
    std::vector<uint16_t> dev_roles;  // indexed by dev_number; size is max_dev

    // This member's own.
    uint32_t dev_number = 0;
    uuid device_uuid{};
    uint64_t data_offset = 0;
    uint64_t data_size = 0;
    uint64_t recovery_offset = 0;
    uint32_t corrected_reads = 0;
    uint8_t devflags = 0;
    uint8_t bblog_shift = 0;
    uint16_t bblog_sectors = 0;
    int32_t bblog_offset = 0;  // from the superblock
    int32_t log_place = 0;     // bitmap offset, or PPL offset (low half) and size

    // Padding that md checks: not zero means a feature we do not know.
    bool unknown_padding = false;

    std::array<uint8_t, sb_bytes> raw{};

    // What the role table says of this member: a position in the array or one
    // of enum role. A number outside of the table is a spare, as for md.
    [[nodiscard]] uint16_t role() const { return role_of(dev_number); }
    [[nodiscard]] uint16_t role_of(uint32_t number) const {
        return number < dev_roles.size() ? dev_roles[number] : uint16_t{role_spare};
    }
    [[nodiscard]] bool clean() const { return resync_offset == resync_none; }
    [[nodiscard]] bool has(feature bit) const { return (feature_map & bit) != 0; }
};

// The two lay data out in one way.
[[nodiscard]] bool same_layout(const md_superblock& one, const md_superblock& other);
// @own with all that is the array's, not the member's, as @of has it.
[[nodiscard]] md_superblock with_facts(md_superblock own, const md_superblock& of);

[[nodiscard]] consistency consistency_of(const md_superblock& sb);
// The features in @features are off, and where a log or bitmap was is not told any more: a
// tool that sets the bit again would find an old one there.
void clear_features(md_superblock& sb, uint32_t features);
// It tells of a bitmap from here on, where mdadm puts a new one: right behind it.
void name_bitmap(md_superblock& sb);
// It tells of a partial parity log, as mdadm does: right behind it, of a megabyte or what
// there is room for; where that is too little, behind the bad block log. ENOSPC: nowhere,
// and it is as it was.
[[nodiscard]] Status name_ppl(md_superblock& sb);

// Checksum of a superblock with its checksum field taken as zero.
// @block holds at least the header and @max_dev roles.
[[nodiscard]] uint32_t sb_csum(std::span<const uint8_t> block, uint32_t max_dev);

// ENODATA: no md superblock here. EBADMSG: damaged. EINVAL: fields that
// contradict each other or point outside of any device. @block: 4096 bytes.
[[nodiscard]] Result<md_superblock> parse(std::span<const uint8_t> block);

// The block to write, with its checksum. @sb must have at most max_dev_limit
// roles and a name of at most 32 bytes.
[[nodiscard]] std::array<uint8_t, sb_bytes> serialize(const md_superblock& sb);

// Reads and parses the superblock of an open member. O_DIRECT-safe.
[[nodiscard]] Result<md_superblock> read_superblock(int fd);

// Writes the superblock and returns once it is durable. O_DIRECT-safe.
[[nodiscard]] Status write_superblock(int fd, const md_superblock& sb);

struct new_array {
    std::string host;  // may be empty
    std::string name;
    uint32_t layout = 2;  // enum rr_layout
    uint32_t chunk_sectors = 128;
    std::vector<uint64_t> member_sectors;  // device sizes, by role
    uint64_t size_limit = 0;               // sectors used per member; 0: all
    bool clean = false;                    // parity is known to be right
    consistency policy = consistency::resync;
};

// Superblocks of a new array, by role, with random uuids; nothing is written.
// EINVAL: geometry we cannot serve. ENOSPC: a member is too small.
[[nodiscard]] Result<std::vector<md_superblock>> make_new(const new_array& spec);

// The superblock of a spare: a device of @sectors that joins the array whose member has
// @of, under the first number that neither the role table nor @taken has. Its data lies
// where the member's does. ENOSPC: too small, or no number is left.
[[nodiscard]] Result<md_superblock> make_spare(const md_superblock& of, uint64_t sectors,
                                               const std::vector<uint32_t>& taken);

// The superblock of a member that failed or was away, of the array whose member has @of:
// its own, with the facts of today; it has its role to get yet. EINVAL, with the reason:
// it may lack more than what was written since. ENOSPC: so many @sectors are too few for
// its data. Numbers in @taken are spares'.
[[nodiscard]] Result<md_superblock> make_returning(const md_superblock& of,
                                                   const md_superblock& own, uint64_t sectors,
                                                   const std::vector<uint32_t>& taken);

// Seconds and microseconds since 1970 in md's 40 + 24 bits; never a whole second.
[[nodiscard]] uint64_t md_time_now();
// The same, but later than @other, whatever was done to the clock.
[[nodiscard]] uint64_t md_time_after(uint64_t other);
// Microseconds of such a time, to compare.
[[nodiscard]] uint64_t md_microseconds(uint64_t time);

}  // namespace rr::md
