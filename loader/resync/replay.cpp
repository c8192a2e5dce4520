// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "resync/replay.h"

#include <algorithm>
#include <cassert>

#include "base/io.h"

namespace rr {
namespace {

using md::ppl_rows;

class replayer {
public:
    replayer(const rr_geometry& g, const std::vector<replay_member>& members)
        : g_(g),
          members_(members),
          parity_(size_t{512} << g.chunk_shift),
          data_(size_t{512} << g.chunk_shift) {}

    replay_report run() {
        for (uint32_t role = 0; role < members_.size(); role++) {
            const replay_member& member = members_[role];
            if (member.fd < 0 || !member.log)
                continue;
            for (const md::ppl_entry& entry : member.log->entries)
                replay_entry(role, *member.log, entry);
        }
        flush_all();
        return std::move(report_);
    }

private:
    // Parity was made of data that may be in a cache only since before the crash: lost from
    // there when the log is gone, it would not fit any more.
    void flush_all() {
        for (uint32_t role = 0; role < members_.size(); role++) {
            const replay_member& member = members_[role];
            if (auto synced = member.fd < 0 ? Status{} : sync_data(member.fd); !synced)
                refuse_at(role, member.data_offset, synced.error());
        }
    }

    bool takes_writes(uint32_t role) const {
        return std::ranges::none_of(report_.refused,
                                    [role](const resync_fault& one) { return one.role == role; });
    }

    void refuse_at(uint32_t role, uint64_t sector, Error error) {
        if (takes_writes(role))
            report_.refused.push_back({std::move(error), role, sector, true, {}});
    }

    uint64_t sector_of(const ppl_rows& rows) const {
        return (rows.stripe << g_.chunk_shift) + rows.offset;
    }

    void replay_entry(uint32_t role, const md::ppl_unit& unit, const md::ppl_entry& entry) {
        report_.entries++;
        if (entry.torn) {
            report_.torn++;
            return;
        }
        const md::ppl_shape shape{g_, ~uint64_t{0}, {}, role, 0};
        auto pieces = md::rows_of(entry, shape);
        assert(pieces);  // read_ppl() has asked
        for (const ppl_rows& rows : pieces ? *pieces : std::vector<ppl_rows>())
            replay_whole(role, rows, unit.pp_of(entry).subspan(rows.pp_at));
    }

    // What is there of a member that is being filled may end within the rows.
    void replay_whole(uint32_t parity, const ppl_rows& rows, std::span<const uint8_t> pp) {
        const uint64_t first = sector_of(rows);
        for (uint32_t disk = 0; disk < rows.disks; disk++) {
            const uint64_t there = members_[data_role(parity, rows, disk)].sectors;
            if (there <= first || there >= first + rows.sectors)
                continue;
            ppl_rows upper = rows, lower = rows;
            upper.sectors = static_cast<uint32_t>(there - first);
            lower.offset += upper.sectors;
            lower.sectors -= upper.sectors;
            replay_whole(parity, upper, pp);
            return replay_whole(parity, lower,
                                rows.has_pp ? pp.subspan(size_t{upper.sectors} * 512) : pp);
        }
        replay_rows(parity, rows, pp);
    }

    uint32_t data_role(uint32_t parity, const ppl_rows& rows, uint32_t disk) const {
        return rr_data_member(&g_, parity, rows.index + disk);
    }

    bool is_there(uint32_t role, const ppl_rows& rows) const {
        return members_[role].fd >= 0 && sector_of(rows) < members_[role].sectors;
    }

    // True when one of the written blocks is missing; they are told.
    bool lacks_data(uint32_t parity, const ppl_rows& rows) {
        bool lacks = false;
        for (uint32_t disk = 0; disk < rows.disks; disk++) {
            const uint32_t role = data_role(parity, rows, disk);
            if (is_there(role, rows))
                continue;
            const uint64_t chunk = rows.stripe * (g_.members - 1) + rows.index + disk;
            report_.lost.push_back({(chunk << g_.chunk_shift) + rows.offset, rows.sectors, role});
            lacks = true;
        }
        return lacks;
    }

    void replay_rows(uint32_t parity, const ppl_rows& rows, std::span<const uint8_t> pp) {
        if (lacks_data(parity, rows) || !takes_writes(parity))
            return;
        const size_t bytes = size_t{rows.sectors} * 512;
        const auto sum = parity_.span().first(bytes);
        if (rows.has_pp)
            std::ranges::copy(pp.first(bytes), sum.begin());
        else
            std::ranges::fill(sum, uint8_t{0});
        for (uint32_t disk = 0; disk < rows.disks; disk++) {
            const replay_member& from = members_[data_role(parity, rows, disk)];
            const auto into = data_.span().first(bytes);
            if (!read_exact(from.fd, into, (from.data_offset + sector_of(rows)) * 512)) {
                report_.sectors_failed += rows.sectors;
                return;
            }
            xor_into(sum, into);
        }
        const replay_member& to = members_[parity];
        const uint64_t sector = to.data_offset + sector_of(rows);
        if (auto written = write_exact(to.fd, sum, sector * 512); !written)
            return refuse_at(parity, sector, written.error());
        report_.sectors += rows.sectors;
    }

    const rr_geometry& g_;
    const std::vector<replay_member>& members_;
    aligned_buffer parity_;
    aligned_buffer data_;
    replay_report report_;
};

}  // namespace

replay_report replay(const rr_geometry& g, const std::vector<replay_member>& members) {
    assert(rr_geometry_valid(&g) && members.size() == g.members);
    return replayer(g, members).run();
}

}  // namespace rr
