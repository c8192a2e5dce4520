// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "judge.h"

#include <fcntl.h>

#include <cerrno>
#include <cstdio>

#include "md/assemble.h"

namespace rr::hole {

Result<array_members> judge::members(std::optional<uint32_t> missing, bool force) {
    std::vector<md::candidate> candidates;
    std::vector<uint32_t> from;
    for (uint32_t m = 0; m < set_.members; m++) {
        if (m == missing)
            continue;
        candidates.push_back({fmt::format("m{}", m), set_.member_sectors,
                              md::parse(work_.member(m).subspan(4096, 4096))});
        from.push_back(m);
    }
    for (md::candidate& one : candidates) {
        if (set_.no_log && one.superblock)
            one.superblock->feature_map &= ~md::ppl_features;
    }
    auto plan = md::plan_assembly(candidates, {.force = force, .degraded = true});
    if (!plan)
        return forward_error(plan.error());
    array_members out;
    out.plan = std::move(*plan);
    out.devices.resize(set_.members);
    out.found.resize(set_.members);
    for (uint32_t role = 0; role < set_.members; role++) {
        const auto& member = out.plan.members[role];
        if (!member)
            continue;
        const int fd = ::fcntl(work_.fd(from[member->candidate]), F_DUPFD_CLOEXEC, 0);
        out.devices[role].emplace();
        out.devices[role]->path = member->path;
        out.devices[role]->fd.reset(fd);
        out.found[role] = *candidates[member->candidate].superblock;
        device_of_[role] = from[member->candidate];
    }
    return out;
}

// Of all logs, for one that is missing tells nothing.
void judge::keep_rows(const array_members& array) {
    const rr_geometry& g = array.plan.geometry;
    for (uint32_t role = 0; role < set_.members; role++) {
        const auto& unit = array.logs->units[role];
        for (const md::ppl_entry& e : unit ? unit->entries : std::vector<md::ppl_entry>{}) {
            for (const md::ppl_rows& r :
                 must(md::rows_of(e, {.geometry = g, .role = role}), "log")) {
                const uint64_t chunk = r.stripe * (set_.members - 1) + r.index;
                for (uint64_t i = 0; i < uint64_t{r.disks} * r.sectors; i++)
                    in_log_.insert(((chunk + i / r.sectors) << g.chunk_shift) + r.offset +
                                   i % r.sectors);
            }
        }
    }
}

// Recovered as a start does it; nothing: it is not started.
std::optional<array_members> judge::start(std::optional<uint32_t> missing, tally& to,
                                          std::vector<lost_blocks>& lost) {
    auto made = members(missing, false);
    if (!made && made.error().err == EUCLEAN) {
        to.forced++;
        made = members(missing, true);
    }
    Status ok = made ? find_parity_logs(*made, false) : Status(forward_error(made.error()));
    if (!ok) {
        to.refused++;
        say(fmt::format("cut {}: not started: {}", cut_, describe(ok.error())));
        return std::nullopt;
    }
    if (!made->logs)
        return std::move(*made);
    if (!missing)
        keep_rows(*made);
    auto done = recover_from_logs(*made, cut_);
    must(done ? Status{} : Status(forward_error(done.error())), "recovery");
    to.entries += done->replayed.entries;
    to.torn += done->replayed.torn;
    lost = done->replayed.lost;
    return std::move(*made);
}

void judge::look_at_whole(const expected& want) {
    std::vector<lost_blocks> none;
    auto array = start(std::nullopt, whole, none);
    if (!array || array->plan.degraded() || (!array->plan.clean && !array->plan.has_ppl))
        return;
    for (uint32_t role = 0; role < set_.members; role++)
        compare(*array, want, role, {}, whole);
}

void judge::look_without(const expected& want, uint32_t missing) {
    std::vector<lost_blocks> lost;
    auto array = start(missing, less, lost);
    if (!array)
        return;
    std::set<uint64_t> sectors;
    for (const lost_blocks& one : lost) {
        for (uint64_t s = 0; s < one.sectors; s++)
            sectors.insert(one.sector + s);
    }
    const uint64_t before = less.idle_wrong;
    compare(*array, want, array->plan.missing.at(0), sectors, less);
    if (less.idle_wrong != before)
        holes.push_back({cut_, missing, less.idle_wrong - before});
}

void judge::look(const image& crash, const expected& want, size_t cut) {
    cut_ = cut;
    in_log_.clear();
    const uint64_t late = whole.late;
    work_.copy(crash);
    look_at_whole(want);
    if (whole.late != late)
        late_cuts.push_back(cut);
    for (uint32_t m = 0; m < set_.members; m++) {
        work_.copy(crash);
        look_without(want, m);
    }
}

// What is at @at; from the other members where it is on @out.
void judge::read_sector(const array_members& array, const rr_location& at, uint32_t out,
                        uint8_t* sector) const {
    for (uint32_t role = 0; role < set_.members; role++) {
        if (at.member == out ? role == out : role != at.member)
            continue;
        const uint64_t from = array.plan.members[role]->superblock.data_offset + at.member_sector;
        const uint8_t* bytes = work_.member(device_of_.at(role)).data() + from * 512;
        for (size_t i = 0; i < 512; i++)
            sector[i] ^= bytes[i];
    }
}

// Blocks whose member is @out, computed from the others; and, once, all others.
void judge::compare(const array_members& array, const expected& want, uint32_t out,
                    const std::set<uint64_t>& lost, tally& to) {
    to.looks++;
    const rr_geometry& g = array.plan.geometry;
    for (uint64_t s = 0; s < set_.blocks * 8; s++) {
        const rr_location at = rr_locate(&g, s);
        if (at.member != out && out != 0)
            continue;
        uint8_t sector[512] = {};
        read_sector(array, at, out, sector);
        if (in_log_.contains(s) && want.late(s, sector))
            to.late++;
        else if (!want.right(s, sector))
            count(want, s, lost.contains(s), to, out);
    }
}

void judge::count(const expected& want, uint64_t sector, bool told, tally& to, uint32_t out) {
    const bool late = in_log_.contains(sector) && want.may_be_late(sector / 8);
    const bool busy = late || want.is_under_way(sector / 8);
    if (busy && told) {
        to.told++;
        return;
    }
    (busy ? to.busy_wrong : to.idle_wrong)++;
    say(fmt::format("cut {}: sector {} is wrong without member {}, {}", cut_, sector, out,
                    busy ? "under way" : "nobody was writing it"));
}

void judge::say(const std::string& what) {
    if (!quiet_ && said_++ < 20)
        std::printf("%s\n", what.c_str());
}

settings sized(settings set, const write_log& log) {
    image at_begin(set);
    for (size_t i = 0; i < log.begin(); i++)
        at_begin.apply(log.entries()[i]);
    auto sb = must(md::parse(at_begin.member(0).subspan(4096, 4096)), "member 0");
    set.blocks = sb.size * (set.members - 1) / 8;
    set.chunk_kib = sb.chunk_sectors / 2;
    return set;
}

}  // namespace rr::hole
