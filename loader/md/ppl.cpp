// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Byte offsets, little endian. Header (struct ppl_header): 0 reserved[512], all ones
//   512 signature   520 generation   528 entries_count   532 checksum   536 entries
// Entry (struct ppl_header_entry): 0 data_sector   8 pp_size   12 data_size
//   16 parity_disk   20 checksum
#include "md/ppl.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/io.h"

namespace rr::md {
namespace {

constexpr uint64_t header_sectors = ppl_header_bytes / 512;
constexpr uint64_t page_sectors = 8;
constexpr size_t entry_bytes = 24;
constexpr size_t zero_step_bytes = size_t{1} << 20;

namespace at {
constexpr size_t reserved = 512, signature = 512, generation = 520, count = 528, sum = 532,
                 entries = 536;
constexpr size_t data_sector = 0, pp_bytes = 8, data_bytes = 12, parity_role = 16, entry_sum = 20;
}  // namespace at
static_assert(at::entries + ppl_entries_most * entry_bytes <= ppl_header_bytes);

using header_block = std::array<uint8_t, ppl_header_bytes>;

uint32_t header_sum(const header_block& header) {
    header_block copy = header;
    store_le<uint32_t>(copy, at::sum, 0);
    return crc32c(copy);
}

bool holds(const header_block& header, const uuid& set_uuid) {
    return load_le<uint32_t>(header, at::sum) == header_sum(header) &&
           load_le<uint32_t>(header, at::signature) == crc32c(set_uuid);
}

// Its sum is zero so far.
void seal(std::span<uint8_t> header, const uuid& set_uuid) {
    std::fill_n(header.begin(), at::reserved, uint8_t{0xff});
    store_le(header, at::signature, crc32c(set_uuid));
    store_le(header, at::sum, crc32c(header));
}

tl::unexpected<Error> impossible(const std::string& what) {
    return with_hint(fail(EBADMSG, "partial parity log: {}", what),
                     "its sums hold, so no crash made it: it is damaged, or forged");
}

// Entries as they are; only what the sizes of the unit depend on is looked at.
Result<ppl_unit> parse_header(const header_block& header, uint64_t place, uint64_t area_sectors) {
    ppl_unit unit;
    unit.place = place;
    unit.generation = load_le<uint64_t>(header, at::generation);
    const auto count = load_le<uint32_t>(header, at::count);
    if (count > ppl_entries_most)
        return impossible(
            fmt::format("{} entries in a unit, more than {}", count, uint32_t{ppl_entries_most}));
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        const auto from = std::span<const uint8_t>(header).subspan(at::entries + i * entry_bytes);
        ppl_entry entry;
        entry.data_sector = load_le<uint64_t>(from, at::data_sector);
        entry.pp_bytes = load_le<uint32_t>(from, at::pp_bytes);
        entry.data_bytes = load_le<uint32_t>(from, at::data_bytes);
        entry.parity_role = load_le<uint32_t>(from, at::parity_role);
        entry.sum = load_le<uint32_t>(from, at::entry_sum);
        entry.pp_at = bytes;
        bytes += entry.pp_bytes;
        if (entry.pp_bytes % 512 != 0)
            return impossible(fmt::format("{} bytes of partial parity", entry.pp_bytes));
        unit.entries.push_back(entry);
    }
    if (place + header_sectors + bytes / 512 > area_sectors)
        return impossible(fmt::format("a unit at sector {} ends behind the area", place));
    unit.pp.resize(bytes);
    return unit;
}

// As the kernel's ppl_load_distributed(), but for where a unit that fills the area begins.
Result<std::optional<ppl_unit>> find_newest(const ppl_reader& reader, const ppl_shape& shape) {
    std::optional<ppl_unit> newest;
    uint64_t place = 0;
    while (place + header_sectors < shape.area_sectors) {
        header_block header;
        if (Status ok = reader(place, header); !ok)
            return forward_error(ok.error());
        if (!holds(header, shape.set_uuid) ||
            (newest && load_le<uint64_t>(header, at::generation) < newest->generation))
            break;
        auto unit = parse_header(header, place, shape.area_sectors);
        if (!unit)
            return forward_error(unit.error());
        place += header_sectors + unit->pp.size() / 512;
        newest = std::move(*unit);
    }
    return newest;
}

// How many rows of how many chunks; checked by rows_of().
struct extent {
    uint64_t rows;   // sectors
    uint64_t disks;  // whole chunks' worth of them
    uint64_t rest;   // sectors, in one chunk more
};

Result<extent> extent_of(const ppl_entry& entry, const ppl_shape& shape) {
    const uint64_t chunk = uint64_t{1} << shape.geometry.chunk_shift;
    const uint64_t pp = entry.pp_bytes / 512;
    const uint64_t data = entry.data_bytes / 512;
    if (entry.data_bytes == 0 || entry.data_bytes % 512 != 0 || entry.pp_bytes % 512 != 0 ||
        pp > chunk)
        return impossible(fmt::format("an entry of {} bytes of data with {} of partial parity",
                                      entry.data_bytes, entry.pp_bytes));
    const uint64_t disks = shape.geometry.members - 1;
    if (pp == chunk)
        return extent{chunk, data / chunk, data % chunk};
    const uint64_t rows = pp == 0 ? data / disks : pp;
    const extent out{rows, pp == 0 ? disks : data / pp, 0};
    if (rows == 0 || out.disks * rows != data)
        return impossible(fmt::format("an entry of {} bytes of data in rows of {}",
                                      entry.data_bytes, rows * 512));
    return out;
}

bool is_aligned(const ppl_rows& rows, const ppl_shape& shape) {
    const uint32_t block = shape.block_bytes / 512;
    return rows.offset % block == 0 && rows.sectors % block == 0;
}

// Of whose parity it is, and whether its rows lie in one stripe.
Status check_entry(const ppl_entry& entry, const ppl_shape& shape) {
    if (entry.data_sector >= shape.array_sectors)
        return impossible(
            fmt::format("sector {} of an array of {}", entry.data_sector, shape.array_sectors));
    const rr_location place = rr_locate(&shape.geometry, entry.data_sector);
    if (entry.parity_role != place.parity || place.parity != shape.role)
        return impossible(
            fmt::format("sector {} has its parity on member {}: not on {}, in the "
                        "log of {}",
                        entry.data_sector, place.parity, entry.parity_role, shape.role));
    auto rows = rows_of(entry, shape);
    if (!rows)
        return forward_error(rows.error());
    if (!std::ranges::all_of(*rows, [&](const ppl_rows& r) { return is_aligned(r, shape); }))
        return impossible(fmt::format("sector {}: its rows are not blocks of {} bytes",
                                      entry.data_sector, shape.block_bytes));
    return {};
}

Status write_zeroes(const ppl_device& device, uint64_t sector, uint64_t sectors) {
    const aligned_buffer zeroes(std::min<uint64_t>(zero_step_bytes, sectors * 512));
    for (uint64_t done = 0; done < sectors * 512;) {
        const size_t n = std::min<uint64_t>(zeroes.size(), sectors * 512 - done);
        if (Status ok = device.write(sector + done / 512, zeroes.span().first(n)); !ok)
            return ok;
        done += n;
    }
    return device.flush();
}

}  // namespace

size_t ppl_unit::torn() const {
    return static_cast<size_t>(std::ranges::count_if(entries, &ppl_entry::torn));
}

// log_place is a signed distance from the superblock and an unsigned size, 16 bits each.
Result<sector_range> locate_ppl(const md_superblock& sb) {
    const int64_t start = int64_t{sb_sector} + static_cast<int16_t>(sb.log_place & 0xffff);
    const uint64_t size = (static_cast<uint32_t>(sb.log_place) >> 16) / page_sectors * page_sectors;
    const int64_t end = start + static_cast<int64_t>(size);
    const int64_t bad = int64_t{sb_sector} + sb.bblog_offset;
    const bool on_bad = sb.has(feature_bad_blocks) && start < bad + sb.bblog_sectors && bad < end;
    if ((sb.feature_map & ppl_features) == 0 || size <= header_sectors ||
        start < int64_t{sb_sector + sb_bytes / 512} || end > static_cast<int64_t>(sb.data_offset) ||
        start % 8 != 0 || on_bad)
        return fail(EINVAL, "the partial parity log of {} sectors at sector {} is misplaced", size,
                    start);
    return sector_range{static_cast<uint64_t>(start), size};
}

// Where each row has its written chunks one behind the other, from the first on; whole
// chunks of partial parity may have some rows with one chunk more.
Result<std::vector<ppl_rows>> rows_of(const ppl_entry& entry, const ppl_shape& shape) {
    auto size = extent_of(entry, shape);
    if (!size)
        return forward_error(size.error());
    const uint64_t chunk = uint64_t{1} << shape.geometry.chunk_shift;
    const uint64_t offset = entry.data_sector % chunk;
    const rr_location place = rr_locate(&shape.geometry, entry.data_sector);
    const uint64_t disks = size->disks + (size->rest != 0 ? 1 : 0);
    if (offset + size->rows > chunk || place.chunk_index + disks > shape.geometry.members - 1)
        return impossible(
            fmt::format("sector {} has an entry that leaves its stripe", entry.data_sector));
    ppl_rows rows;
    rows.stripe = place.stripe;
    rows.offset = static_cast<uint32_t>(offset);
    rows.index = place.chunk_index;
    rows.has_pp = entry.pp_bytes != 0;
    std::vector<ppl_rows> out;
    if (size->rest != 0) {
        rows.sectors = static_cast<uint32_t>(size->rest);
        rows.disks = static_cast<uint32_t>(disks);
        out.push_back(rows);
        rows.offset += rows.sectors;
        rows.pp_at = rows.sectors * 512;
    }
    rows.sectors = static_cast<uint32_t>(size->rows - size->rest);
    rows.disks = static_cast<uint32_t>(size->disks);
    if (rows.disks != 0)
        out.push_back(rows);
    return out;
}

Result<std::optional<ppl_unit>> read_ppl(const ppl_reader& reader, const ppl_shape& shape) {
    assert(rr_geometry_valid(&shape.geometry) && shape.block_bytes >= 512);
    auto unit = find_newest(reader, shape);
    if (!unit || !*unit)
        return unit;
    ppl_unit& newest = **unit;
    for (const ppl_entry& entry : newest.entries) {
        if (Status ok = check_entry(entry, shape); !ok)
            return forward_error(ok.error());
    }
    if (!newest.pp.empty()) {
        if (Status ok = reader(newest.place + header_sectors, newest.pp); !ok)
            return forward_error(ok.error());
    }
    for (ppl_entry& entry : newest.entries)
        entry.torn = crc32c(newest.pp_of(entry)) != entry.sum;
    return unit;
}

Result<std::optional<ppl_unit>> read_ppl(int fd, const md_superblock& sb,
                                         const rr_geometry& geometry, uint32_t role,
                                         uint32_t block_bytes) {
    auto area = locate_ppl(sb);
    if (!area)
        return forward_error(area.error());
    const ppl_shape shape{
        geometry, sb.size * (geometry.members - 1), sb.set_uuid, role, area->sectors, block_bytes};
    // The whole area at once: it is a megabyte, and units begin on any sector.
    aligned_buffer bytes(area->sectors * 512);
    if (Status ok = read_exact(fd, bytes.span().first(area->sectors * 512), area->sector * 512);
        !ok)
        return forward_error(ok.error());
    return read_ppl(
        [&](uint64_t sector, std::span<uint8_t> into) {
            std::ranges::copy(bytes.span().subspan(sector * 512, into.size()), into.begin());
            return Status{};
        },
        shape);
}

std::array<uint8_t, ppl_header_bytes> empty_ppl(const uuid& set_uuid) {
    header_block header{};
    seal(header, set_uuid);
    return header;
}

// The first header goes first, alone: without it none holds. Among all of the zeroes an older
// unit could be the last one that is left, and its rows were written again since.
Status write_empty_ppl(const ppl_device& device, const uuid& set_uuid, const sector_range& area) {
    for (const uint64_t sectors : {header_sectors, area.sectors}) {
        if (Status ok = write_zeroes(device, area.sector, sectors); !ok)
            return ok;
    }
    aligned_buffer block(ppl_header_bytes);
    std::ranges::copy(empty_ppl(set_uuid), block.data());
    if (Status ok = device.write(area.sector, block.span()); !ok)
        return ok;
    return device.flush();
}

Status write_empty_ppl(int fd, const uuid& set_uuid, const sector_range& area) {
    return write_empty_ppl({[fd](uint64_t sector, std::span<const uint8_t> bytes) {
                                return write_exact(fd, bytes, sector * 512);
                            },
                            [fd] { return sync_data(fd); }},
                           set_uuid, area);
}

size_t build_ppl_unit(std::span<uint8_t> into, const uuid& set_uuid, uint64_t generation,
                      std::span<const new_ppl_entry> entries) {
    assert(entries.size() <= ppl_entries_most);
    const auto header = into.first(ppl_header_bytes);
    std::ranges::fill(header, uint8_t{0});
    store_le(header, at::generation, generation);
    store_le(header, at::count, static_cast<uint32_t>(entries.size()));
    size_t end = ppl_header_bytes;
    for (size_t i = 0; i < entries.size(); i++) {
        const new_ppl_entry& entry = entries[i];
        const auto to = header.subspan(at::entries + i * entry_bytes);
        store_le(to, at::data_sector, entry.data_sector);
        store_le(to, at::pp_bytes, static_cast<uint32_t>(entry.pp.size()));
        store_le(to, at::data_bytes, entry.data_bytes);
        store_le(to, at::parity_role, entry.parity_role);
        store_le(to, at::entry_sum, crc32c(entry.pp));
        std::ranges::copy(entry.pp, into.subspan(end, entry.pp.size()).begin());
        end += entry.pp.size();
    }
    seal(header, set_uuid);
    return end;
}

std::vector<uint8_t> build_ppl_unit(const uuid& set_uuid, uint64_t generation,
                                    const std::vector<new_ppl_entry>& entries) {
    size_t bytes = 2 * ppl_header_bytes;
    for (const new_ppl_entry& entry : entries)
        bytes += entry.pp.size();
    std::vector<uint8_t> out(bytes);
    build_ppl_unit(out, set_uuid, generation, entries);
    return out;
}

}  // namespace rr::md
