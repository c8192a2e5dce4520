// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/membership.h"

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "base/log.h"
#include "md/whitelist.h"
#include "members/spelling.h"
#include "ringraid/abi.h"
#include "service/content.h"

namespace rr {

std::vector<const member_device*> array_members::present() const {
    std::vector<const member_device*> out;
    for (const auto& device : devices) {
        if (device)
            out.push_back(&*device);
    }
    return out;
}

std::vector<int> array_members::fds() const {
    std::vector<int> out;
    out.reserve(devices.size());
    for (uint32_t i = 0; i <= replacement_index() && i < RR_MEMBERS_MAX; i++)
        out.push_back(device(i) != nullptr ? device(i)->fd.get() : -1);
    return out;
}

uint32_t array_members::replacement_index() const {
    return static_cast<uint32_t>(devices.size());
}

const member_device* array_members::device(uint32_t index) const {
    if (index < devices.size())
        return devices[index] ? &*devices[index] : nullptr;
    return replacement ? &replacement->device : nullptr;
}

uint32_t array_members::missing_mask() const {
    uint32_t mask = 0;
    for (uint32_t role : plan.missing)
        mask |= 1U << role;
    return mask;
}

md::array_metadata::state array_members::metadata_state() const {
    md::array_metadata::state state;
    for (const auto& member : plan.members)
        state.members.push_back(member ? std::optional(member->superblock) : std::nullopt);
    state.features_to_clear = plan.features_to_clear;
    state.needs_resync = plan.needs_resync;
    for (const md::md_superblock& sb : found)
        state.events_found.push_back(sb.events);
    if (replacement)
        state.replacement = replacement->superblock;
    return state;
}

std::vector<resync_member> array_members::resync_members() const {
    std::vector<resync_member> out;
    out.reserve(devices.size());
    for (size_t role = 0; role < devices.size(); role++)
        out.push_back({devices[role]->fd.get(), plan.members[role]->superblock.data_offset});
    return out;
}

Result<std::vector<std::optional<nvme_namespace>>> array_members::open_namespaces() const {
    std::vector<std::optional<nvme_namespace>> out(fds().size());
    for (uint32_t i = 0; i < out.size(); i++) {
        if (device(i) == nullptr)
            continue;
        auto opened = open_nvme(*device(i));
        if (!opened)
            return forward_error(opened.error());
        out[i] = std::move(*opened);
    }
    return out;
}

namespace {

md::candidate candidate_at(const std::string& path) {
    return {path, 0, fail(ENODEV, "not looked at")};
}

bool is_not_there(int err) {
    return err == ENOENT || err == ENXIO || err == ENODEV || err == ENOMEDIUM || err == ENOTBLK;
}

// Opens @path as a member, or only to read it where it cannot be one. @as says what
// was found.
member_device open_if_any(const std::string& path, md::candidate& as) {
    auto device = open_member(path);
    if (!device && !is_not_there(device.error().err)) {
        as.unusable = device.error();
        device = open_member(path, {.read_only = true});
    }
    if (!device) {
        as.superblock = forward_error(as.unusable.value_or(device.error()));
        return {};
    }
    as.sectors = device->sectors;
    as.disk = device->identity.strong ? device->identity.text : "";
    as.superblock = md::read_superblock(device->fd.get());
    return std::move(*device);
}

// Of the device that the plan has as one.
Status take_replacement(array_members& out, std::vector<member_device>& opened,
                        const std::vector<md::candidate>& candidates) {
    if (!out.plan.replacement)
        return {};
    const md::replacing_member& plan = *out.plan.replacement;
    const size_t i = plan.device.candidate;
    auto terms = md::check_servable_member(opened[i].fd.get(), plan.device.superblock);
    if (!terms)
        return forward_error(terms.error());
    out.logical_block_bytes = std::max(out.logical_block_bytes, opened[i].logical_block_bytes);
    out.replacement = replacement_device{plan.role, plan.sectors, std::move(opened[i]),
                                         *candidates[i].superblock, plan.device.superblock};
    return {};
}

}  // namespace

Result<array_members> open_array(const std::vector<std::string>& paths,
                                 const md::assembly_options& options) {
    std::vector<member_device> opened;
    std::vector<md::candidate> candidates;
    for (const std::string& path : paths) {
        if (const member_device* other = same_device(opened, path))
            return fail(EEXIST, "{} and {} are the same device", other->path, path);
        auto device = open_if_any(path, candidates.emplace_back(candidate_at(path)));
        opened.push_back(std::move(device));
    }
    auto plan = md::plan_assembly(candidates, options);
    if (!plan)
        return forward_error(plan.error());

    array_members out;
    out.plan = std::move(*plan);
    out.devices.resize(out.plan.geometry.members);
    out.found.resize(out.plan.geometry.members);
    for (size_t role = 0; role < out.plan.members.size(); role++) {
        const auto& member = out.plan.members[role];
        if (!member)
            continue;
        out.devices[role] = std::move(opened[member->candidate]);
        out.found[role] = *candidates[member->candidate].superblock;
        auto terms = md::check_servable_member(out.devices[role]->fd.get(), member->superblock);
        if (!terms)
            return forward_error(terms.error());
        out.logical_block_bytes =
            std::max(out.logical_block_bytes, out.devices[role]->logical_block_bytes);
    }
    if (Status ok = take_replacement(out, opened, candidates); !ok)
        return forward_error(ok.error());
    for (const size_t i : out.plan.spares)
        out.spares.push_back({std::move(opened[i]), *candidates[i].superblock});
    out.logical_block_bytes = std::max(out.logical_block_bytes, out.plan.logical_block_bytes);
    if (Status ok = check_block_size(out); !ok)
        return forward_error(ok.error());
    return out;
}

namespace {

// On every member the same, or it is none.
uint64_t room_for_bitmap(const array_members& members) {
    uint64_t room = ~uint64_t{0};
    for (const auto& member : members.plan.members) {
        if (member)
            room = std::min(room, member->superblock.has(md::feature_bitmap)
                                      ? md::bitmap_room(member->superblock)
                                      : 0);
    }
    return room;
}

// What gets what the bitmap names gets all, and no tool shall take it for the former.
void rebuild_all(array_members& members) {
    auto& half = members.plan.rebuilding;
    if (!half || !half->by_bitmap)
        return;
    half->by_bitmap = false;
    members.plan.features_to_clear |= md::feature_recovery_bitmap;
}

std::optional<md::bitmap> bitmap_on_members(const array_members& members) {
    std::vector<md::bitmap_copy> copies;
    for (uint32_t role = 0; role < members.plan.members.size(); role++) {
        const auto& member = members.plan.members[role];
        const auto& half = members.plan.rebuilding;
        if (!member || (half && half->role == role))
            continue;
        auto copy = md::read_bitmap(members.devices[role]->fd.get(), member->superblock);
        if (copy)
            copies.push_back({role, std::move(*copy)});
        else
            log_info("the bitmap of {} is of no use: {}", member->path, describe(copy.error()));
    }
    return md::join_bitmaps(std::move(copies), members.plan.events);
}

}  // namespace

void find_bitmap(array_members& members) {
    bool any = false;
    for (const auto& member : members.plan.members)
        any = any || (member && member->superblock.has(md::feature_bitmap));
    if (!any)
        return rebuild_all(members);
    const uint64_t room = room_for_bitmap(members);
    members.bitmap = bitmap_on_members(members);
    // It is to be written to all of them.
    if (members.bitmap && members.bitmap->bytes() <= room)
        return;
    members.bitmap.reset();
    auto chunk = md::choose_bitmap_chunk(members.plan.member_sectors, room, 0);
    if (!chunk) {
        log_error("the array's bitmap is given up: {}", describe(chunk.error()));
        members.plan.features_to_clear |= md::feature_bitmap;
        return rebuild_all(members);
    }
    log_info("no copy of the bitmap is up to date: all rows count as being written");
    members.bitmap.emplace(members.plan.set_uuid, members.plan.member_sectors, *chunk, true);
}

std::optional<uint32_t> find_member(const array_members& members, const std::string& spelled) {
    uint32_t role = 0;
    const char* end = spelled.data() + spelled.size();
    const auto [rest, error] = std::from_chars(spelled.data(), end, role);
    if (error == std::errc() && rest == end)
        return role < members.devices.size() ? std::optional(role) : std::nullopt;
    std::vector<const member_device*> devices;
    devices.reserve(members.devices.size());
    for (const auto& device : members.devices)
        devices.push_back(device ? &*device : nullptr);
    const auto found = find_device(devices, spelled);
    return found ? std::optional(static_cast<uint32_t>(*found)) : std::nullopt;
}

}  // namespace rr
