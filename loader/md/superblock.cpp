// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Field positions, and where a new array puts its data.
//
// Placement on a new member, sectors (as mdadm places an array with a PPL, so
// that a log or a bitmap can be added later without moving data):
//
//      8  superblock, 4 KiB
//     16  1 MiB for a PPL or a bitmap
//   2064  bad block log, 4 KiB: named in the superblock, empty, feature bit off
//   2072  headroom: 128 MiB, halved until it is at most 1/1024 of the device,
//         for md to reshape into
//    ...  data, from the next 1 MiB boundary
#include "md/superblock.h"

#include <sys/random.h>
#include <sys/time.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cerrno>
#include <utility>

#include "base/bytes.h"
#include "base/io.h"
#include "md/ppl.h"
#include "ringraid/geometry.h"

namespace rr::md {
namespace {

constexpr uint32_t sb_magic = 0xa92b4efc;
constexpr uint32_t new_max_dev = 128;  // mdadm's: header and table fill 512 bytes
constexpr uint64_t log_sectors = 2048;
constexpr uint64_t bblog_size = 8;
constexpr uint64_t mib_sectors = 2048;
constexpr uint64_t headroom_most = 128 * mib_sectors;
constexpr uint64_t md_data_least = 10;  // super_1_load refuses less

// Byte offsets of struct mdp_superblock_1.
namespace at {
constexpr size_t magic = 0, major_version = 4, feature_map = 8, pad0 = 12, set_uuid = 16,
                 set_name = 32, ctime = 64, level = 72, layout = 76, size = 80, chunksize = 88,
                 raid_disks = 92, log_place = 96, data_offset = 128, data_size = 136,
                 super_offset = 144, recovery_offset = 152, dev_number = 160, corrected_reads = 164,
                 device_uuid = 168, devflags = 184, bblog_shift = 185, bblog_size = 186,
                 bblog_offset = 188, utime = 192, events = 200, resync_offset = 208, csum = 216,
                 max_dev = 220, logical_block_size = 224, pad3 = 228, dev_roles = 256;
}  // namespace at
constexpr size_t name_bytes = 32;

uuid load_uuid(std::span<const uint8_t> block, size_t offset) {
    uuid id;
    std::copy_n(block.begin() + static_cast<ptrdiff_t>(offset), id.size(), id.begin());
    return id;
}

std::string load_name(std::span<const uint8_t> block) {
    const auto field = block.subspan(at::set_name, name_bytes);
    return {field.begin(), std::find(field.begin(), field.end(), uint8_t{0})};
}

bool all_zero(std::span<const uint8_t> bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b == 0; });
}

// Identity and checksum: until these hold, no other field means anything.
Status check_identity(std::span<const uint8_t> block) {
    if (block.size() < sb_bytes)
        return fail(EINVAL, "a superblock has {} bytes, not {}", sb_bytes, block.size());
    if (load_le<uint32_t>(block, at::magic) != sb_magic)
        return fail(ENODATA, "no md superblock 1.2");
    if (const auto version = load_le<uint32_t>(block, at::major_version); version != 1)
        return fail(ENODATA, "md superblock of version {}, not 1", version);
    const auto max_dev = load_le<uint32_t>(block, at::max_dev);
    if (max_dev > max_dev_limit)
        return fail(EBADMSG, "superblock has {} roles, more than {}", max_dev, max_dev_limit);
    if (load_le<uint32_t>(block, at::csum) != sb_csum(block, max_dev))
        return with_hint(fail(EBADMSG, "superblock checksum is wrong"),
                         "if the other members are sound, start without this one");
    if (const auto place = load_le<uint64_t>(block, at::super_offset); place != sb_sector)
        return fail(EINVAL, "superblock says that it belongs to sector {}, not {}", place,
                    sb_sector);
    return {};
}

// After this, data_offset + data_size and size * raid_disks cannot overflow.
Status check_sizes(const md_superblock& sb) {
    if (sb.data_offset > sectors_limit || sb.data_size > sectors_limit ||
        sb.data_offset + sb.data_size > sectors_limit)
        return fail(EINVAL, "data area of {} sectors at sector {} exceeds any device", sb.data_size,
                    sb.data_offset);
    if (sb.data_offset < sb_sector + sb_bytes / 512)
        return fail(EINVAL, "data at sector {} would overlap the superblock", sb.data_offset);
    if (sb.size > sb.data_size)
        return fail(EINVAL, "array uses {} sectors of a data area of {}", sb.size, sb.data_size);
    uint64_t total = 0;
    if (__builtin_mul_overflow(sb.size, uint64_t{sb.raid_disks}, &total) || total > sectors_limit)
        return fail(EINVAL, "{} members of {} sectors exceed any device", sb.raid_disks, sb.size);
    return {};
}

void load_roles(md_superblock& sb, std::span<const uint8_t> block) {
    sb.dev_roles.resize(load_le<uint32_t>(block, at::max_dev));
    for (size_t i = 0; i < sb.dev_roles.size(); i++)
        sb.dev_roles[i] = load_le<uint16_t>(block, at::dev_roles + 2 * i);
}

void load_array_fields(md_superblock& sb, std::span<const uint8_t> block) {
    sb.feature_map = load_le<uint32_t>(block, at::feature_map);
    sb.set_uuid = load_uuid(block, at::set_uuid);
    sb.set_name = load_name(block);
    sb.ctime = load_le<uint64_t>(block, at::ctime);
    sb.level = load_le<int32_t>(block, at::level);
    sb.layout = load_le<uint32_t>(block, at::layout);
    sb.size = load_le<uint64_t>(block, at::size);
    sb.chunk_sectors = load_le<uint32_t>(block, at::chunksize);
    sb.raid_disks = load_le<uint32_t>(block, at::raid_disks);
    sb.utime = load_le<uint64_t>(block, at::utime);
    sb.events = load_le<uint64_t>(block, at::events);
    sb.resync_offset = load_le<uint64_t>(block, at::resync_offset);
    sb.logical_block_size = load_le<uint32_t>(block, at::logical_block_size);
    sb.unknown_padding = load_le<uint32_t>(block, at::pad0) != 0 ||
                         !all_zero(block.subspan(at::pad3, at::dev_roles - at::pad3));
}

void load_member_fields(md_superblock& sb, std::span<const uint8_t> block) {
    sb.dev_number = load_le<uint32_t>(block, at::dev_number);
    sb.device_uuid = load_uuid(block, at::device_uuid);
    sb.data_offset = load_le<uint64_t>(block, at::data_offset);
    sb.data_size = load_le<uint64_t>(block, at::data_size);
    sb.recovery_offset = load_le<uint64_t>(block, at::recovery_offset);
    sb.corrected_reads = load_le<uint32_t>(block, at::corrected_reads);
    sb.devflags = block[at::devflags];
    sb.bblog_shift = block[at::bblog_shift];
    sb.bblog_sectors = load_le<uint16_t>(block, at::bblog_size);
    sb.bblog_offset = load_le<int32_t>(block, at::bblog_offset);
    sb.log_place = load_le<int32_t>(block, at::log_place);
}

void store_array_fields(std::span<uint8_t> block, const md_superblock& sb) {
    store_le(block, at::feature_map, sb.feature_map);
    std::copy(sb.set_uuid.begin(), sb.set_uuid.end(), block.begin() + at::set_uuid);
    store_le(block, at::ctime, sb.ctime);
    store_le(block, at::level, sb.level);
    store_le(block, at::layout, sb.layout);
    store_le(block, at::size, sb.size);
    store_le(block, at::chunksize, sb.chunk_sectors);
    store_le(block, at::raid_disks, sb.raid_disks);
    store_le(block, at::utime, sb.utime);
    store_le(block, at::events, sb.events);
    store_le(block, at::resync_offset, sb.resync_offset);
    store_le(block, at::logical_block_size, sb.logical_block_size);
    // Bytes behind the name's end are not ours to change unless it changes.
    if (load_name(block) != sb.set_name) {
        const auto field = block.subspan(at::set_name, name_bytes);
        std::fill(field.begin(), field.end(), uint8_t{0});
        std::copy_n(sb.set_name.begin(), std::min(sb.set_name.size(), name_bytes), field.begin());
    }
}

void store_member_fields(std::span<uint8_t> block, const md_superblock& sb) {
    store_le(block, at::dev_number, sb.dev_number);
    std::copy(sb.device_uuid.begin(), sb.device_uuid.end(), block.begin() + at::device_uuid);
    store_le(block, at::data_offset, sb.data_offset);
    store_le(block, at::data_size, sb.data_size);
    store_le(block, at::super_offset, sb_sector);
    store_le(block, at::recovery_offset, sb.recovery_offset);
    store_le(block, at::corrected_reads, sb.corrected_reads);
    block[at::devflags] = sb.devflags;
    block[at::bblog_shift] = sb.bblog_shift;
    store_le(block, at::bblog_size, sb.bblog_sectors);
    store_le(block, at::bblog_offset, sb.bblog_offset);
    store_le(block, at::log_place, sb.log_place);
}

Result<uuid> random_uuid() {
    uuid id;
    if (::getrandom(id.data(), id.size(), 0) != static_cast<ssize_t>(id.size()))
        return fail(errno, "cannot get random bytes for a uuid");
    return id;
}

Status check_new_geometry(const new_array& spec) {
    const auto members = spec.member_sectors.size();
    if (members < RR_MEMBERS_MIN || members > RR_MEMBERS_MAX)
        return fail(EINVAL, "{} members; RAID5 here takes {} to {}", members, int{RR_MEMBERS_MIN},
                    int{RR_MEMBERS_MAX});
    if (!std::has_single_bit(spec.chunk_sectors) || spec.chunk_sectors < RR_CHUNK_SECTORS_MIN ||
        spec.chunk_sectors > RR_CHUNK_SECTORS_MAX)
        return with_hint(fail(EINVAL, "chunk of {} sectors", spec.chunk_sectors),
                         "take a power of two from 4 KiB to 1 MiB");
    if (spec.layout > RR_RIGHT_SYMMETRIC)
        return fail(EINVAL, "layout {} is none of md's four rotating ones", spec.layout);
    return {};
}

// The array's name as md keeps it: "host:name", or the name when that is too long.
Result<std::string> new_name(const new_array& spec) {
    const bool printable = std::all_of(spec.name.begin(), spec.name.end(),
                                       [](char c) { return c > ' ' && c <= '~' && c != '/'; });
    if (spec.name.empty() || !printable || spec.name.size() > name_bytes)
        return with_hint(fail(EINVAL, "'{}' cannot be an array's name", spec.name),
                         "take 1 to 32 printable characters without blanks and slashes");
    std::string full = spec.host.empty() ? spec.name : spec.host + ":" + spec.name;
    return full.size() <= name_bytes ? full : spec.name;
}

uint64_t choose_data_offset(uint64_t device_sectors) {
    uint64_t headroom = headroom_most;
    while (headroom << 10 > device_sectors)
        headroom >>= 1;
    const uint64_t reserved = sb_sector + 8 + log_sectors + bblog_size + headroom;
    return (reserved + mib_sectors - 1) / mib_sectors * mib_sectors;
}

// Places data behind the metadata and sets `size` to what the smallest can hold.
Status place_data(md_superblock& sb, const new_array& spec) {
    const auto& devices = spec.member_sectors;
    const uint64_t smallest = *std::min_element(devices.begin(), devices.end());
    if (*std::max_element(devices.begin(), devices.end()) > sectors_limit / RR_MEMBERS_MAX)
        return fail(EINVAL, "a member is larger than {} sectors", sectors_limit / RR_MEMBERS_MAX);
    sb.data_offset = choose_data_offset(smallest);
    uint64_t usable = smallest > sb.data_offset ? smallest - sb.data_offset : 0;
    if (spec.size_limit > usable)
        return fail(ENOSPC, "asked for {} sectors per member, {} are usable", spec.size_limit,
                    usable);
    if (spec.size_limit != 0)
        usable = spec.size_limit;
    sb.size = usable / spec.chunk_sectors * spec.chunk_sectors;
    if (sb.size < md_data_least)
        return with_hint(
            fail(ENOSPC, "a member of {} sectors leaves no room for data", smallest),
            fmt::format(
                "members need at least {} sectors",
                sb.data_offset + std::max<uint64_t>(spec.chunk_sectors, 2 * RR_CHUNK_SECTORS_MIN)));
    return {};
}

void fill_new_constants(md_superblock& sb, const new_array& spec) {
    sb.level = level_raid5;
    sb.layout = spec.layout;
    sb.chunk_sectors = spec.chunk_sectors;
    sb.raid_disks = static_cast<uint32_t>(spec.member_sectors.size());
    sb.ctime = sb.utime = md_time_now();
    sb.events = 1;
    sb.resync_offset = spec.clean ? resync_none : 0;
    sb.bblog_sectors = bblog_size;
    sb.bblog_offset = static_cast<int32_t>(8 + log_sectors);
    sb.dev_roles.assign(new_max_dev, uint16_t{role_spare});
    for (uint32_t i = 0; i < sb.raid_disks; i++)
        sb.dev_roles[i] = static_cast<uint16_t>(i);
    store_le<uint32_t>(sb.raw, at::magic, sb_magic);
    store_le<uint32_t>(sb.raw, at::major_version, 1);
}

}  // namespace

std::string to_string(const uuid& id) {
    std::string text;
    for (size_t i = 0; i < id.size(); i++)
        text += fmt::format("{}{:02x}", i > 0 && i % 4 == 0 ? ":" : "", id[i]);
    return text;
}

Result<uuid> parse_uuid(const std::string& text) {
    uuid id{};
    size_t digits = 0;
    for (char c : text) {
        if (c == ':' || c == '-')
            continue;
        const int value = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (value < 0 || digits >= 2 * id.size())
            return fail(EINVAL, "{} is not a uuid", text);
        id[digits / 2] = static_cast<uint8_t>(id[digits / 2] << 4 | value);
        digits++;
    }
    if (digits != 2 * id.size())
        return fail(EINVAL, "{} is not a uuid", text);
    return id;
}

bool same_layout(const md_superblock& one, const md_superblock& other) {
    return one.level == other.level && one.layout == other.layout &&
           one.chunk_sectors == other.chunk_sectors;
}

md_superblock with_facts(md_superblock own, const md_superblock& of) {
    own.set_name = of.set_name;
    own.ctime = of.ctime;
    own.size = of.size;
    own.raid_disks = of.raid_disks;
    own.utime = of.utime;
    own.events = of.events;
    own.resync_offset = of.resync_offset;
    own.logical_block_size = of.logical_block_size;
    own.dev_roles = of.dev_roles;
    return own;
}

const char* to_string(consistency policy) {
    static constexpr std::array names = {"resync", "bitmap", "ppl"};
    return names.at(static_cast<size_t>(policy));
}

std::optional<consistency> parse_consistency(const std::string& text) {
    for (const auto policy : {consistency::resync, consistency::bitmap, consistency::ppl}) {
        if (text == to_string(policy))
            return policy;
    }
    return std::nullopt;
}

consistency consistency_of(const md_superblock& sb) {
    return (sb.feature_map & ppl_features) != 0 ? consistency::ppl
           : sb.has(feature_bitmap)             ? consistency::bitmap
                                                : consistency::resync;
}

void clear_features(md_superblock& sb, uint32_t features) {
    if ((sb.feature_map & features & (feature_bitmap | ppl_features)) != 0)
        sb.log_place = 0;
    sb.feature_map &= ~features;
}

void name_bitmap(md_superblock& sb) {
    sb.feature_map |= feature_bitmap;
    sb.log_place = sb_bytes / 512;
}

// Between superblock and data, the bad block log left alone whether it is in use or not.
Status name_ppl(md_superblock& sb) {
    const int64_t begin = int64_t{sb_sector + sb_bytes / 512};
    const auto end = static_cast<int64_t>(sb.data_offset);
    int64_t bad = end;
    int64_t behind = end;
    if (sb.bblog_sectors != 0 && int64_t{sb_sector} + sb.bblog_offset >= begin) {
        bad = std::min(end, int64_t{sb_sector} + sb.bblog_offset);
        behind = std::min(end, (bad + sb.bblog_sectors + 7) / 8 * 8);
    }
    for (const auto& [from, to] : {std::pair(begin, bad), std::pair(behind, end)}) {
        const int64_t size = std::min(to - from, int64_t{log_sectors}) / 8 * 8;
        if (size < int64_t{ppl_sectors_least} || from - int64_t{sb_sector} > INT16_MAX)
            continue;
        sb.feature_map = (sb.feature_map & ~ppl_features) | feature_ppl;
        sb.log_place =
            static_cast<int32_t>(from - int64_t{sb_sector}) | static_cast<int32_t>(size << 16);
        return {};
    }
    return with_hint(fail(ENOSPC, "between superblock and data there is no room for a log"),
                     "a write-intent bitmap needs less: consistency=bitmap");
}

uint32_t sb_csum(std::span<const uint8_t> block, uint32_t max_dev) {
    const size_t bytes = sb_header_bytes + 2 * size_t{max_dev};
    uint64_t sum = 0;
    for (size_t offset = 0; offset + 4 <= bytes; offset += 4)
        sum += offset == at::csum ? 0 : load_le<uint32_t>(block, offset);
    if (bytes % 4 != 0)
        sum += load_le<uint16_t>(block, bytes - 2);
    return static_cast<uint32_t>(sum) + static_cast<uint32_t>(sum >> 32);
}

Result<md_superblock> parse(std::span<const uint8_t> block) {
    if (auto sound = check_identity(block); !sound)
        return forward_error(sound.error());
    md_superblock sb;
    std::copy_n(block.begin(), sb_bytes, sb.raw.begin());
    load_array_fields(sb, block);
    load_member_fields(sb, block);
    load_roles(sb, block);
    if (auto sound = check_sizes(sb); !sound)
        return forward_error(sound.error());
    return sb;
}

std::array<uint8_t, sb_bytes> serialize(const md_superblock& sb) {
    assert(sb.dev_roles.size() <= max_dev_limit);
    std::array<uint8_t, sb_bytes> block = sb.raw;
    store_array_fields(block, sb);
    store_member_fields(block, sb);
    const auto max_dev =
        static_cast<uint32_t>(std::min<size_t>(sb.dev_roles.size(), max_dev_limit));
    for (size_t i = 0; i < max_dev; i++)
        store_le(block, at::dev_roles + 2 * i, sb.dev_roles[i]);
    store_le(block, at::max_dev, max_dev);
    store_le(block, at::csum, sb_csum(block, max_dev));
    return block;
}

Result<md_superblock> read_superblock(int fd) {
    aligned_buffer block(sb_bytes);
    if (auto read = read_exact(fd, block.span(), sb_sector * 512); !read)
        return forward_error(read.error());
    return parse(block.span());
}

Status write_superblock(int fd, const md_superblock& sb) {
    aligned_buffer block(sb_bytes);
    const auto bytes = serialize(sb);
    std::copy(bytes.begin(), bytes.end(), block.data());
    if (auto written = write_exact(fd, block.span(), sb_sector * 512); !written)
        return written;
    return sync_data(fd);
}

Result<std::vector<md_superblock>> make_new(const new_array& spec) {
    if (auto sound = check_new_geometry(spec); !sound)
        return forward_error(sound.error());
    md_superblock common;
    fill_new_constants(common, spec);
    if (auto placed = place_data(common, spec); !placed)
        return forward_error(placed.error());
    auto name = new_name(spec);
    auto set_uuid = random_uuid();
    if (!name || !set_uuid)
        return forward_error(!name ? name.error() : set_uuid.error());
    common.set_name = *name;
    common.set_uuid = *set_uuid;
    if (spec.policy == consistency::bitmap)
        name_bitmap(common);
    if (Status ok = spec.policy == consistency::ppl ? name_ppl(common) : Status{}; !ok)
        return forward_error(ok.error());
    std::vector<md_superblock> members(common.raid_disks, common);
    for (uint32_t role = 0; role < common.raid_disks; role++) {
        auto device_uuid = random_uuid();
        if (!device_uuid)
            return forward_error(device_uuid.error());
        members[role].dev_number = role;
        members[role].device_uuid = *device_uuid;
        members[role].data_size = spec.member_sectors[role] - common.data_offset;
    }
    return members;
}

// As mdadm --add does (super1.c, write_init_super1): a copy without what is the other
// device's own.
Result<md_superblock> make_spare(const md_superblock& of, uint64_t sectors,
                                 const std::vector<uint32_t>& taken) {
    const uint64_t needed = of.data_offset + of.size;
    if (sectors < needed)
        return fail(ENOSPC, "it has {} sectors, {} are needed", sectors, needed);
    uint32_t number = of.raid_disks;
    auto in_use = [&](uint32_t n) {
        return of.role_of(n) != role_spare || std::ranges::find(taken, n) != taken.end();
    };
    while (number < max_dev_limit && in_use(number))
        number++;
    if (number >= max_dev_limit)
        return fail(ENOSPC, "all {} numbers of devices are taken", max_dev_limit);
    auto device_uuid = random_uuid();
    if (!device_uuid)
        return forward_error(device_uuid.error());
    md_superblock sb = of;
    sb.feature_map &= ~uint32_t{feature_recovery_offset | feature_recovery_bitmap |
                                feature_replacement | feature_bad_blocks | ppl_features};
    sb.dev_number = number;
    sb.device_uuid = *device_uuid;
    sb.data_size = sectors - sb.data_offset;
    sb.recovery_offset = 0;
    sb.corrected_reads = 0;
    sb.devflags = 0;
    sb.bblog_shift = 0;
    sb.bblog_sectors = 0;
    sb.bblog_offset = 0;
    // A bitmap lies where the member's does, before the same data. A log it has when it is
    // empty, and who has made it that says so.
    if (!sb.has(feature_bitmap))
        sb.log_place = 0;
    if (sb.dev_roles.size() <= number)
        sb.dev_roles.resize(number + 1, role_spare);
    return sb;
}

namespace {

bool same_shape(const md_superblock& one, const md_superblock& other) {
    return one.set_uuid == other.set_uuid && same_layout(one, other) &&
           one.raid_disks == other.raid_disks && one.size == other.size;
}

// Whoever is in use now was so for @own, too: it was not served alone since, and nobody
// has taken another's place.
bool knows_members(const md_superblock& of, const md_superblock& own) {
    const auto numbers = static_cast<uint32_t>(std::max(of.dev_roles.size(), own.dev_roles.size()));
    for (uint32_t number = 0; number < numbers; number++) {
        if (of.role_of(number) < of.raid_disks && own.role_of(number) != of.role_of(number))
            return false;
    }
    return true;
}

}  // namespace

// As the kernel's super_1_validate() for a device with a saved role, and stricter.
Result<md_superblock> make_returning(const md_superblock& of, const md_superblock& own,
                                     uint64_t sectors, const std::vector<uint32_t>& taken) {
    if (!same_shape(of, own))
        return fail(EINVAL, "the array has another shape by now");
    if (own.role() >= of.raid_disks ||
        (own.feature_map & (feature_recovery_offset | feature_replacement)) != 0)
        return fail(EINVAL, "it was no whole member");
    // Events that say that it is out were never written to it.
    if (own.events >= of.events || !knows_members(of, own))
        return fail(EINVAL, "it was served apart from the others");
    if (own.data_size < of.size || sectors < own.data_offset || sectors - own.data_offset < of.size)
        return fail(ENOSPC, "it has {} sectors, its data begins at {} and has {}", sectors,
                    own.data_offset, of.size);
    const uint16_t now = of.role_of(own.dev_number);
    if ((now != role_faulty && now != role_spare) ||
        std::ranges::find(taken, own.dev_number) != taken.end())
        return fail(EINVAL, "another device has its number");
    return with_facts(own, of);
}

uint64_t md_time_now() {
    timeval now{};
    ::gettimeofday(&now, nullptr);
    // A whole second would look like one of md's (heritage.h).
    now.tv_usec = std::max<suseconds_t>(now.tv_usec, 1);
    return (static_cast<uint64_t>(now.tv_sec) & ((1ULL << 40) - 1)) |
           static_cast<uint64_t>(now.tv_usec) << 40;
}

uint64_t md_microseconds(uint64_t time) {
    return (time & ((1ULL << 40) - 1)) * 1000000 + (time >> 40);
}

uint64_t md_time_after(uint64_t other) {
    const uint64_t now = md_time_now();
    const uint64_t next = md_microseconds(other) + 1;
    if (md_microseconds(now) >= next)
        return now;
    return (next / 1000000) | std::max<uint64_t>(next % 1000000, 1) << 40;
}

}  // namespace rr::md
