// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "md/whitelist.h"

#include <bit>
#include <cerrno>

#include "base/bytes.h"
#include "base/io.h"
#include "ringraid/geometry.h"

namespace rr::md {
namespace {

struct refused_feature {
    uint32_t bits;
    const char* name;
    const char* hint;
};

// Most telling first: a reshape also sets its direction and offset bits.
constexpr refused_feature refused_features[] = {
    {feature_reshape | feature_reshape_backwards | feature_new_offset, "a reshape in progress",
     "let md finish the reshape: mdadm --assemble, then wait with mdadm --wait"},
    {feature_clustered, "a cluster of hosts that share it", "this array must stay with md-cluster"},
    {feature_journal, "a journal device",
     "remove it under md: mdadm --readonly, then mdadm --manage --fail and --remove the journal"},
    {feature_raid0_layout, "a RAID0 layout, which RAID5 cannot have", "check with mdadm --examine"},
};

constexpr uint32_t allowed_bits = feature_bitmap | feature_bad_blocks | feature_recovery_offset |
                                  feature_recovery_bitmap | feature_replacement | ppl_features;
constexpr uint64_t bblog_sectors_most = 8;  // md reads one page

Status check_shape(const md_superblock& sb) {
    if (sb.level != level_raid5)
        return fail(ENOTSUP, "array has RAID level {}, not 5", sb.level);
    if (sb.layout > RR_RIGHT_SYMMETRIC)
        return with_hint(fail(ENOTSUP, "RAID5 layout {} is not a rotating one", sb.layout),
                         "mdadm --grow --layout=left-symmetric converts it");
    if (sb.raid_disks < RR_MEMBERS_MIN || sb.raid_disks > RR_MEMBERS_MAX)
        return fail(ENOTSUP, "array has {} members, not {} to {}", sb.raid_disks,
                    int{RR_MEMBERS_MIN}, int{RR_MEMBERS_MAX});
    if (!std::has_single_bit(sb.chunk_sectors) || sb.chunk_sectors < RR_CHUNK_SECTORS_MIN ||
        sb.chunk_sectors > RR_CHUNK_SECTORS_MAX)
        return fail(ENOTSUP, "chunk of {} sectors is not a power of two from {} to {}",
                    sb.chunk_sectors, int{RR_CHUNK_SECTORS_MIN}, int{RR_CHUNK_SECTORS_MAX});
    if (sb.size == 0 || sb.size % sb.chunk_sectors != 0)
        return fail(ENOTSUP, "{} sectors per member are not whole chunks of {}", sb.size,
                    sb.chunk_sectors);
    return {};
}

Status check_features(const md_superblock& sb) {
    for (const auto& feature : refused_features) {
        if ((sb.feature_map & feature.bits) != 0)
            return with_hint(fail(ENOTSUP, "array has {}", feature.name), feature.hint);
    }
    if (const uint32_t unknown = sb.feature_map & ~allowed_bits; unknown != 0)
        return with_hint(fail(ENOTSUP, "array has unknown features {:#x}", unknown),
                         "its metadata is newer than this program");
    if (sb.unknown_padding)
        return with_hint(fail(ENOTSUP, "superblock uses bytes that should be zero"),
                         "its metadata is newer than this program");
    if ((sb.feature_map & ppl_features) != 0 && (sb.feature_map & feature_bitmap) != 0)
        return fail(ENOTSUP, "array claims a PPL and a bitmap, which exclude each other");
    return {};
}

// Where the active bad block log is; it must lie between superblock and data.
Result<sector_range> locate_bad_block_log(const md_superblock& sb) {
    const int64_t start = int64_t{sb_sector} + sb.bblog_offset;
    const auto end = static_cast<uint64_t>(start + sb.bblog_sectors);
    const bool inside = start >= int64_t{sb_sector + sb_bytes / 512} && end <= sb.data_offset;
    if (!inside || sb.bblog_sectors == 0 || sb.bblog_sectors > bblog_sectors_most || start % 8 != 0)
        return fail(ENOTSUP, "bad block log of {} sectors at sector {} is misplaced",
                    sb.bblog_sectors, start);
    return sector_range{static_cast<uint64_t>(start), sb.bblog_sectors};
}

}  // namespace

Result<serve_terms> check_servable(const md_superblock& sb) {
    if (auto shape = check_shape(sb); !shape)
        return forward_error(shape.error());
    if (auto features = check_features(sb); !features)
        return forward_error(features.error());
    serve_terms terms;
    terms.features_to_clear = sb.feature_map & ppl_features;
    if ((sb.feature_map & feature_bad_blocks) != 0) {
        auto log = locate_bad_block_log(sb);
        if (!log)
            return forward_error(log.error());
        terms.bad_block_log = *log;
    }
    return terms;
}

// An entry is a sector in 54 bits and a count in 10; all ones end the list.
Status check_bad_block_log(std::span<const uint8_t> log) {
    for (size_t offset = 0; offset + 8 <= log.size(); offset += 8) {
        const auto entry = load_le<uint64_t>(log, offset);
        if (entry == ~0ULL)
            return {};
        if (entry != 0)
            return with_hint(
                fail(ENOTSUP, "member has known bad blocks, the first at sector {}", entry >> 10),
                "replace the member under md: mdadm --replace");
    }
    return {};
}

Result<serve_terms> check_servable_member(int fd, const md_superblock& sb) {
    auto terms = check_servable(sb);
    if (!terms || !terms->bad_block_log)
        return terms;
    aligned_buffer log(bblog_sectors_most * 512);
    if (auto read = read_exact(fd, log.span(), terms->bad_block_log->sector * 512); !read)
        return forward_error(read.error());
    const auto bytes = terms->bad_block_log->sectors * 512;
    if (auto empty = check_bad_block_log(log.span().first(bytes)); !empty)
        return forward_error(empty.error());
    return terms;
}

}  // namespace rr::md
