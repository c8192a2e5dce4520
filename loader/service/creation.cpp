// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/creation.h"

#include <cerrno>
#include <random>

#include "base/io.h"
#include "base/log.h"
#include "resync/zeroes.h"
#include "service/parity_log.h"

namespace rr {
namespace {

constexpr uint64_t superblock_byte = 4096;

void erase_superblock(const member_device& member) {
    const aligned_buffer zeros(io_alignment);
    Status gone = write_exact(member.fd.get(), zeros.span(), superblock_byte);
    if (gone)
        gone = sync_data(member.fd.get());
    if (!gone)
        log_error("{} keeps a superblock of an array that was not made: {}", member.path,
                  describe(gone.error()));
}

// Two paths of one disk look like two, by number and name.
Status check_distinct(const std::vector<member_device>& devices) {
    for (size_t i = 0; i < devices.size(); i++) {
        for (size_t j = 0; j < i; j++) {
            if (devices[i].identity.strong && same_disk(devices[i].identity, devices[j].identity))
                return with_hint(
                    fail(EEXIST, "{} and {} are one disk by what they say ({})", devices[j].path,
                         devices[i].path, devices[i].identity.text),
                    "use the multipath map above them; --force, where their maker gave "
                    "two disks "
                    "one number");
        }
    }
    return {};
}

// What was written through each path is there, and not what was written through
// another.
Status check_written(const array_members& members) {
    for (size_t role = 0; role < members.devices.size(); role++) {
        auto read = md::read_superblock(members.devices[role]->fd.get());
        if (!read)
            return fail(read.error().err, "cannot read back the superblock of {}: {}",
                        members.devices[role]->path, read.error().what);
        if (read->device_uuid != members.found[role].device_uuid)
            return with_hint(fail(EEXIST, "{} is the same disk as another member, by another path",
                                  members.devices[role]->path),
                             "name each disk once, or the multipath map above its paths");
    }
    return {};
}

Status check_zeroing(const std::vector<member_device>& devices) {
    for (const member_device& m : devices) {
        if (m.limits.write_zeroes_bytes.value_or(0) == 0)
            return with_hint(fail(EOPNOTSUPP, "{} has no command to write zeroes", m.path),
                             "without --write-zeroes parity is computed while the array serves");
    }
    return {};
}

tl::unexpected<Error> cannot_zero(const array_members& members, const resync_fault& fault) {
    if (fault.error.err == ECANCELED)
        return fail(ECANCELED, "told to stop while zeroing the members");
    return with_hint(fail(fault.error.err, "cannot zero {}: sector {}: {}",
                          members.devices[fault.role]->path, fault.sector, fault.error.what),
                     "no array was made; without --write-zeroes parity is computed while it "
                     "serves");
}

void erase_all(const array_members& members) {
    for (const auto& member : members.devices)
        erase_superblock(*member);
}

// Its parity is right everywhere or nowhere.
Status plan_bitmap(const creation& what, array_members& members) {
    const md::md_superblock& sb = members.found[0];
    if (!sb.has(md::feature_bitmap))
        return {};
    auto chunk = md::choose_bitmap_chunk(sb.size, md::bitmap_room(sb), what.bitmap_chunk_sectors);
    if (!chunk)
        return forward_error(chunk.error());
    members.bitmap.emplace(sb.set_uuid, sb.size, *chunk, !sb.clean());
    members.bitmap->set_events(sb.events);
    members.bitmap->set_events_cleared(sb.events);
    return {};
}

Status write_log(const array_members& members, size_t role) {
    auto area = md::locate_ppl(members.found[role]);
    return area ? md::write_empty_ppl(members.devices[role]->fd.get(), members.plan.set_uuid, *area)
                : Status(forward_error(area.error()));
}

}  // namespace

Result<array_members> plan_creation(const creation& what, const std::vector<std::string>& paths) {
    open_options open;
    open.for_create = true;
    open.force = what.force;
    auto devices = open_members(paths, open);
    if (!devices)
        return forward_error(devices.error());
    if (Status ok = what.force ? Status{} : check_distinct(*devices); !ok)
        return forward_error(ok.error());
    if (Status ok = what.write_zeroes ? check_zeroing(*devices) : Status{}; !ok)
        return forward_error(ok.error());
    auto superblocks = what.superblocks(*devices);
    if (!superblocks)
        return forward_error(superblocks.error());
    std::vector<md::candidate> candidates;
    for (size_t role = 0; role < devices->size(); role++)
        candidates.push_back(
            {(*devices)[role].path, (*devices)[role].sectors, (*superblocks)[role]});
    auto plan = md::plan_assembly(candidates);
    if (!plan)
        return forward_error(plan.error());
    array_members out;
    out.plan = std::move(*plan);
    for (size_t role = 0; role < devices->size(); role++) {
        out.logical_block_bytes =
            std::max(out.logical_block_bytes, (*devices)[role].logical_block_bytes);
        out.found.push_back((*superblocks)[role]);
        out.devices.emplace_back(std::move((*devices)[role]));
    }
    if (Status ok = plan_bitmap(what, out); !ok)
        return forward_error(ok.error());
    settle_on_logs(out);
    return out;
}

Status erase_signatures(const array_members& members) {
    for (const auto& member : members.devices) {
        // By the descriptor: what the path leads to may have changed since.
        const std::string held = fmt::format("/proc/self/fd/{}", member->fd.get());
        if (Status ok = wipe_signatures(held); !ok)
            return ok;
    }
    return {};
}

Result<std::string> zero_data(const array_members& members,
                              const std::function<void(uint64_t done, uint64_t total)>& progress,
                              const std::atomic<bool>& cancel) {
    const std::vector<resync_member> all = members.resync_members();
    const uint64_t sectors = members.plan.member_sectors;
    if (auto zeroed = zero_members(all, sectors, progress, &cancel); !zeroed)
        return cannot_zero(members, zeroed.error());
    const uint64_t seed = std::random_device{}();
    if (auto looked = sample_zeroes(all, sectors, seed); !looked) {
        resync_fault fault = looked.error();
        fault.error.what += fmt::format(" (seed {})", seed);
        return cannot_zero(members, fault);
    }
    return fmt::format("the members are zero: {} places of each were read (seed {})", zero_samples,
                       seed);
}

Status write_creation(const array_members& members) {
    for (size_t role = 0; role < members.devices.size(); role++) {
        Status ok;
        if (members.bitmap)
            ok = md::write_bitmap(members.devices[role]->fd.get(), members.found[role],
                                  *members.bitmap, members.bitmap->all_pages());
        if (members.logged)
            ok = write_log(members, role);
        if (ok)
            ok = md::write_superblock(members.devices[role]->fd.get(), members.found[role]);
        for (size_t made = 0; !ok && made <= role; made++)
            erase_superblock(*members.devices[made]);
        if (!ok)
            return fail(ok.error().err, "cannot write the superblock of {}: {}",
                        members.devices[role]->path, ok.error().what);
    }
    Status there = check_written(members);
    if (!there)
        erase_all(members);
    return there;
}

}  // namespace rr
