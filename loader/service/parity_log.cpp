// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/parity_log.h"

#include <algorithm>
#include <cerrno>
#include <random>

#include "base/log.h"

namespace rr {
namespace {

constexpr uint32_t stripes_looked_at = 32;
constexpr size_t lost_lines_most = 20;

// The log's feature is off with the next superblock, and what else may be named in its place.
template <typename Change>
void change_superblocks(array_members& members, const Change& change) {
    for (auto& member : members.plan.members) {
        if (member)
            change(member->superblock);
    }
    if (members.replacement)
        change(members.replacement->superblock);
}

md::md_superblock with_bitmap(md::md_superblock sb) {
    sb.feature_map &= ~md::ppl_features;
    md::name_bitmap(sb);
    return sb;
}

// Of a complete array, where there is room on every member. All of its bits are set: what
// was written before it was there is not in it.
void put_bitmap_in_its_place(array_members& members) {
    if (members.plan.degraded() || members.bitmap)
        return;
    uint64_t room = ~uint64_t{0};
    change_superblocks(members, [&room](const md::md_superblock& sb) {
        room = std::min(room, md::bitmap_room(with_bitmap(sb)));
    });
    auto chunk = md::choose_bitmap_chunk(members.plan.member_sectors, room, 0);
    if (!chunk)
        return;
    members.bitmap.emplace(members.plan.set_uuid, members.plan.member_sectors, *chunk, true);
    members.bitmap->set_events(members.plan.events);
    members.bitmap->set_events_cleared(members.plan.events);
    change_superblocks(members, [](md::md_superblock& sb) { sb = with_bitmap(sb); });
}

void give_up(array_members& members) {
    put_bitmap_in_its_place(members);
    log_info("{}: the partial parity log is given up: it has no room for ours on each member. {}",
             members.plan.name,
             members.bitmap ? "The array has a write-intent bitmap instead"
                            : "After a crash all parity is recomputed; when no member is missing, "
                              "ringraid set has consistency=bitmap");
}

// Where it is, of one that is given up: as it was found.
const md::md_superblock& log_superblock(const array_members& members, uint32_t role) {
    return members.logged ? members.plan.members[role]->superblock : members.found[role];
}

Result<std::optional<md::ppl_unit>> read_log(const array_members& members, uint32_t role) {
    const member_device& device = *members.devices[role];
    return md::read_ppl(device.fd.get(), log_superblock(members, role), members.plan.geometry, role,
                        device.logical_block_bytes);
}

// An empty log's header is of generation 0, and one without entries that is not begins a
// pass of the writer (log_writer.h).
bool was_written(const std::optional<md::ppl_unit>& unit) {
    return unit && unit->generation != 0;
}

// Sectors of its data that are there.
uint64_t sectors_there(const array_members& members, uint32_t role) {
    const auto& half = members.plan.rebuilding;
    return half && half->role == role ? half->sectors : members.plan.member_sectors;
}

// The last stripe and some by chance. An unreadable one says nothing.
void look_at_parity(const array_members& members, uint64_t seed, log_recovery& done) {
    const rr_geometry& g = members.plan.geometry;
    const uint64_t stripes = members.plan.member_sectors >> g.chunk_shift;
    std::mt19937_64 random(seed);
    resync_options how;
    how.mode = resync_mode::check;
    how.stripes = 1;
    how.first_stripe = stripes - 1;
    for (uint32_t i = 0; i < stripes_looked_at; i++) {
        auto looked = resync(g, members.resync_members(), how);
        how.first_stripe = random() % stripes;
        if (!looked)
            continue;
        done.looked_at++;
        done.wrong += looked->stripes_mismatched != 0 ? 1 : 0;
    }
}

tl::unexpected<Error> refuse_member(const array_members& members, const md::member_write_error& one,
                                    const char* what) {
    return with_hint(fail(one.error.err, "{} does not take {}: {}", members.devices[one.role]->path,
                          what, one.error.what),
                     "replace the cable or the disk, then assemble again; the log is kept");
}

}  // namespace

void settle_on_logs(array_members& members) {
    members.logged = members.plan.has_ppl;
    change_superblocks(members, [&members](md::md_superblock& sb) {
        if (!members.plan.has_ppl)
            return md::clear_features(sb, md::ppl_features);
        // It was being taken up, or given up, when it was cut off.
        const bool named = md::consistency_of(sb) == md::consistency::ppl ||
                           md::change_consistency(sb, md::consistency::ppl);
        auto area = md::locate_ppl(sb);
        if (!named || !area || area->sectors < md::ppl_sectors_least)
            members.logged = false;
    });
    // What the whitelist has asked for, of each superblock by itself, is so of all or of none.
    if (members.logged)
        members.plan.features_to_clear &= ~md::ppl_features;
    else if (members.plan.has_ppl)
        members.plan.features_to_clear |= md::ppl_features;
}

std::vector<md::member_write_error> empty_logs(const array_members& members, uint32_t without) {
    std::vector<md::member_write_error> failed;
    for (uint32_t role = 0; role < members.devices.size(); role++) {
        const auto& member = members.plan.members[role];
        if (!members.devices[role] || !member || (without >> role & 1) != 0)
            continue;
        auto area = md::locate_ppl(log_superblock(members, role));
        if (!area)
            continue;
        if (Status ok =
                md::write_empty_ppl(members.devices[role]->fd.get(), members.plan.set_uuid, *area);
            !ok)
            failed.push_back({role, ok.error()});
    }
    return failed;
}

void leave_logs_empty(const array_members& members, uint32_t without) {
    for (const md::member_write_error& one : empty_logs(members, without))
        log_error("the log of member {} is not empty: {}", one.role, describe(one.error));
}

Status find_parity_logs(array_members& members, bool force) {
    settle_on_logs(members);
    if (!members.plan.has_ppl)
        return {};
    if (!members.plan.clean) {
        parity_logs logs;
        logs.units.resize(members.devices.size());
        logs.sound = true;
        logs.force = force;
        bool any = false;
        for (uint32_t role = 0; role < members.devices.size(); role++) {
            if (!members.devices[role])
                continue;
            auto unit = read_log(members, role);
            const std::string& path = members.devices[role]->path;
            if (!unit && members.plan.degraded() && !force)
                return with_hint(
                    fail(unit.error().err, "{}: {}", path, unit.error().what),
                    "add the missing member, or force: blocks of the missing member in stripes "
                    "that were being written may then read wrong");
            if (!unit) {
                log_error("{}: {}: it is not followed", path, describe(unit.error()));
                logs.sound = false;
                members.plan.forced = members.plan.forced || members.plan.degraded();
                continue;
            }
            logs.sound = logs.sound && *unit && (*unit)->torn() == 0;
            any = any || was_written(*unit);
            logs.units[role] = std::move(*unit);
        }
        logs.sound = logs.sound && any;
        members.logs = std::move(logs);
    }
    if (!members.logged)
        give_up(members);
    return {};
}

Result<log_recovery> recover_from_logs(const array_members& members, uint64_t seed) {
    std::vector<replay_member> all(members.devices.size());
    for (uint32_t role = 0; role < all.size(); role++) {
        if (!members.devices[role])
            continue;
        all[role] = {members.devices[role]->fd.get(),
                     members.plan.members[role]->superblock.data_offset,
                     sectors_there(members, role), members.logs->units[role]};
    }
    log_recovery done;
    done.replayed = replay(members.plan.geometry, all);
    // Nobody would recompute it, and what is missing would come out of it.
    if (done.replayed.sectors_failed != 0 && members.plan.degraded() && !members.logs->force)
        return with_hint(fail(EIO,
                              "{} KiB of parity cannot be recovered: a block that was being "
                              "written cannot be read",
                              (done.replayed.sectors_failed + 1) / 2),
                         "replace the cable or add the missing member, then assemble again: the "
                         "log is kept. Or force: blocks of the missing member may read wrong "
                         "there");
    if (!members.plan.degraded() && members.logs->sound && done.replayed.sectors_failed == 0 &&
        members.plan.resync_from == 0) {
        look_at_parity(members, seed, done);
        done.parity_right = done.wrong == 0;
    }
    // Two would be too many, and the logs are needed by the next start then.
    for (const resync_fault& one : done.replayed.refused) {
        if (done.without || !done.parity_right)
            return refuse_member(members, {one.role, one.error}, "parity");
        done.without = {one.role, one.error};
    }
    const uint32_t out = done.without ? 1U << done.without->role : 0;
    for (const md::member_write_error& one : empty_logs(members, out)) {
        if (done.without || !done.parity_right)
            return refuse_member(members, one, "the end of its log");
        done.without = one;
    }
    return done;
}

nlohmann::json describe_recovery(const log_recovery& done) {
    nlohmann::json lost = nlohmann::json::array();
    for (const lost_blocks& one : done.replayed.lost)
        lost.push_back({{"sector", one.sector}, {"sectors", one.sectors}, {"role", one.role}});
    return {{"entries", done.replayed.entries},
            {"torn_entries", done.replayed.torn},
            {"parity_sectors", done.replayed.sectors},
            {"failed_sectors", done.replayed.sectors_failed},
            {"lost", std::move(lost)}};
}

std::vector<std::string> recovery_lines(const log_recovery& done) {
    const replay_report& r = done.replayed;
    std::vector<std::string> out;
    out.push_back(fmt::format("partial parity log: {} entries, {} KiB of parity made right{}",
                              r.entries, r.sectors / 2,
                              r.torn != 0 ? fmt::format("; {} entries torn, whose writes were not "
                                                        "begun",
                                                        r.torn)
                                          : ""));
    if (r.sectors_failed != 0)
        out.push_back(
            fmt::format("{} KiB of parity could not be made, for a block that cannot be "
                        "read",
                        r.sectors_failed / 2));
    for (size_t i = 0; i < std::min(r.lost.size(), lost_lines_most); i++)
        out.push_back(fmt::format(
            "sectors {} to {} were being written on member {}, which is "
            "missing: they hold what the write had, what was there, or "
            "neither",
            r.lost[i].sector, r.lost[i].sector + r.lost[i].sectors - 1, r.lost[i].role));
    if (r.lost.size() > lost_lines_most)
        out.push_back(fmt::format("... and {} places more", r.lost.size() - lost_lines_most));
    if (done.wrong != 0)
        out.push_back(
            fmt::format("parity of {} of {} stripes is wrong all the same: a resync was "
                        "under way",
                        done.wrong, done.looked_at));
    return out;
}

}  // namespace rr
