// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/creation.h"

#include <array>

#include "base/io.h"
#include "base/log.h"

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

}  // namespace

Result<array_members> plan_creation(const creation& what, const std::vector<std::string>& paths) {
    open_options open;
    open.for_create = true;
    open.force = what.force;
    auto devices = open_members(paths, open);
    if (!devices)
        return forward_error(devices.error());
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
    return out;
}

Status write_creation(const creation& what, const array_members& members) {
    for (const auto& member : members.devices) {
        // By the descriptor: what the path leads to may have changed since.
        const std::string held = fmt::format("/proc/self/fd/{}", member->fd.get());
        if (Status ok = what.force ? wipe_signatures(held) : Status{}; !ok)
            return ok;
    }
    for (size_t role = 0; role < members.devices.size(); role++) {
        Status ok = md::write_superblock(members.devices[role]->fd.get(), members.found[role]);
        for (size_t made = 0; !ok && made <= role; made++)
            erase_superblock(*members.devices[made]);
        if (!ok)
            return fail(ok.error().err, "cannot write the superblock of {}: {}",
                        members.devices[role]->path, ok.error().what);
    }
    return {};
}

}  // namespace rr
