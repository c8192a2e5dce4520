// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/heritage.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/process.h"
#include "ringraid/abi.h"

namespace rr {
namespace {

// Cut where it is too long, always with a zero at the end.
template <size_t Bytes>
void put_text(rr_u8 (&into)[Bytes], const std::string& text) {
    std::memset(into, 0, Bytes);
    std::memcpy(into, text.data(), std::min(text.size(), Bytes - 1));
}

template <size_t Bytes>
std::string get_text(const rr_u8 (&from)[Bytes]) {
    return {reinterpret_cast<const char*>(from),
            ::strnlen(reinterpret_cast<const char*>(from), Bytes)};
}

md::uuid get_uuid(const rr_u8 (&from)[RR_LIFE_UUID_BYTES]) {
    md::uuid out;
    std::copy(std::begin(from), std::end(from), out.begin());
    return out;
}

// The superblock's time is that of a write of ours since the last one that was whole; or,
// before the first, one that was found.
bool is_our_time(const rr_life& life, uint64_t utime) {
    if (utime == life.utime || utime == life.utime_next)
        return true;
    const bool found_at_start = std::ranges::any_of(
        life.members, [utime](const rr_life_member& m) { return m.utime == utime; });
    if (life.utime == 0 && found_at_start)
        return true;
    const uint64_t at = md::md_microseconds(utime);
    return utime >> 40 != 0 && at > md::md_microseconds(life.utime) &&
           at < md::md_microseconds(life.utime_next);
}

// What is different about a member that had @index; empty when nothing is.
std::string difference(const rr_life& life, uint32_t index, const member_device* device,
                       const md::md_superblock& found) {
    const rr_life_member& had = life.members[index];
    if (get_uuid(had.device_uuid) != found.device_uuid)
        return fmt::format("{} is another member (device uuid {}, it was {})", device->path,
                           md::to_string(found.device_uuid),
                           md::to_string(get_uuid(had.device_uuid)));
    if (get_text(had.identity) != device->identity.text)
        return fmt::format("{} is another disk ({}, it was {} at {}): a copy?", device->path,
                           device->identity.text, get_text(had.identity), get_text(had.path));
    const uint64_t most = std::max(life.events, life.events_next);
    if (found.events < life.events || found.events > most || !is_our_time(life, found.utime))
        return fmt::format("{} was written by somebody else since ({} events, {} were left)",
                           device->path, found.events, life.events);
    return {};
}

}  // namespace

bool is_last_write(const rr_life& life, const md::md_superblock& found) {
    const uint64_t most = std::max(life.events, life.events_next);
    return found.set_uuid == get_uuid(life.set_uuid) &&
           (found.events < life.events || (found.events <= most && is_our_time(life, found.utime)));
}

void remember_member(rr_life& life, uint32_t role, const member_device& now,
                     const md::uuid& device_uuid) {
    rr_life_member& out = life.members[role];
    std::ranges::copy(device_uuid, out.device_uuid);
    put_text(out.identity, now.identity.text);
    put_text(out.path, now.path);
    out.diskseq = now.identity.diskseq;
}

void forget_member(rr_life& life, uint32_t role) {
    life.members[role] = {};
}

void fill_life(rr_life& life, const array_members& members, engine_host host, bool passthrough) {
    static_assert(sizeof(md::uuid) == RR_LIFE_UUID_BYTES);
    life = {};
    std::ranges::copy(members.plan.set_uuid, life.set_uuid);
    put_text(life.name, members.plan.name);
    // A clean mark that a power cut cut off leaves some of them one behind.
    life.events = life.events_next = members.plan.events;
    for (size_t role = 0; role < members.devices.size(); role++) {
        if (!members.devices[role])
            continue;
        life.events = std::min<uint64_t>(life.events, members.found[role].events);
        life.members[role].utime = members.found[role].utime;
    }
    life.ublk_device = RR_LIFE_NO_DEVICE;
    life.engine = static_cast<rr_u32>(host);
    life.passthrough = passthrough ? 1 : 0;
    for (size_t role = 0; role < members.devices.size(); role++) {
        const auto& device = members.devices[role];
        if (!device)
            continue;
        remember_member(life, static_cast<uint32_t>(role), *device,
                        members.plan.members[role]->superblock.device_uuid);
    }
    if (const auto& copy = members.replacement) {
        life.events = std::min<uint64_t>(life.events, copy->found.events);
        life.members[members.replacement_index()].utime = copy->found.utime;
        remember_member(life, members.replacement_index(), copy->device,
                        copy->superblock.device_uuid);
    }
}

void remember_place(rr_life& life, uint32_t role, const member_device& now) {
    put_text(life.members[role].path, now.path);
    life.members[role].diskseq = now.identity.diskseq;
}

void sign(rr_life& life) {
    life.pid = static_cast<rr_u32>(::getpid());
    life.started = started_at(::getpid());
}

void life_begins_write(rr_life& life, uint64_t events, uint64_t utime) {
    __atomic_store_n(&life.utime_next, utime, __ATOMIC_SEQ_CST);
    __atomic_store_n(&life.events_next, events, __ATOMIC_SEQ_CST);
}

void life_wrote(rr_life& life, uint64_t events, uint64_t utime) {
    __atomic_store_n(&life.utime, utime, __ATOMIC_SEQ_CST);
    __atomic_store_n(&life.events, events, __ATOMIC_SEQ_CST);
}

Status check_life(const rr_life& life, const md::uuid& set_uuid) {
    if (life.phase > RR_LIFE_CLOSED || life.engine > static_cast<rr_u32>(engine_host::user))
        return fail(EINVAL, "the record of whose arena it is makes no sense");
    if (get_uuid(life.set_uuid) != set_uuid)
        return fail(ESTALE, "the arena is that of another array, {} '{}'",
                    md::to_string(get_uuid(life.set_uuid)), get_text(life.name));
    return {};
}

Status check_heritage(const rr_array& array, const rr_life& life, const array_members& members) {
    if (Status ok = check_life(life, members.plan.set_uuid); !ok)
        return ok;
    const rr_geometry& now = members.plan.geometry;
    if (array.geometry.members != now.members || array.geometry.chunk_shift != now.chunk_shift ||
        array.geometry.layout != now.layout || array.member_sectors != members.plan.member_sectors)
        return fail(ESTALE, "the array has another shape than the dead daemon's");
    std::string all;
    auto compare = [&](uint32_t index, const member_device& device,
                       const md::md_superblock& found) {
        std::string one = difference(life, index, &device, found);
        if (one.empty() && array.members[index].data_offset != found.data_offset)
            one = fmt::format("{} has moved its data", device.path);
        if (!one.empty())
            all += (all.empty() ? "" : "; ") + one;
    };
    for (uint32_t role = 0; role < members.devices.size(); role++) {
        if (!members.devices[role] || rr_state_is_out(array.state, role) != 0)
            continue;
        compare(index_left(array, life, members, role), *members.devices[role],
                members.found[role]);
    }
    if (const auto& copy = members.replacement; copy && (array.state & RR_STATE_REPLACE) != 0) {
        if (copy->role != array.replaced)
            all += fmt::format("{}{} replaces another member", all.empty() ? "" : "; ",
                               copy->device.path);
        compare(members.replacement_index(), copy->device, copy->found);
    }
    return all.empty() ? Status{} : Status(fail(ESTALE, "{}", all));
}

bool has_replaced(const rr_array& array, const rr_life& life, const array_members& members) {
    const uint32_t role = array.replaced;
    return (array.state & RR_STATE_REPLACE) != 0 && !members.replacement && members.devices[role] &&
           get_uuid(life.members[role].device_uuid) != members.found[role].device_uuid &&
           get_uuid(life.members[members.replacement_index()].device_uuid) ==
               members.found[role].device_uuid;
}

uint32_t index_left(const rr_array& array, const rr_life& life, const array_members& members,
                    uint32_t role) {
    const bool moved = role == array.replaced && has_replaced(array, life, members);
    return moved ? members.replacement_index() : role;
}

// Nothing was in flight: the queues were parked.
void end_replaced(rr_array& array, rr_life& life, const array_members& members) {
    const uint32_t role = array.replaced;
    const uint32_t index = members.replacement_index();
    array.members[role].data_offset = array.members[index].data_offset;
    remember_member(life, role, *members.devices[role], members.found[role].device_uuid);
    forget_member(life, index);
    array.job.kind = RR_JOB_NONE;
    array.state = (array.state & ~RR_STATE_REPLACE) + (uint64_t{1} << RR_STATE_EPOCH_SHIFT);
}

std::string life_name(const rr_life& life) {
    return get_text(life.name);
}

std::string life_path(const rr_life& life, uint32_t role) {
    return get_text(life.members[role].path);
}

std::string life_identity(const rr_life& life, uint32_t role) {
    return get_text(life.members[role].identity);
}

bool is_another_disk(const rr_life& life, uint32_t role, const member_device& now) {
    const std::string had = life_identity(life, role);
    return !had.empty() && had != now.identity.text;
}

md::uuid life_device_uuid(const rr_life& life, uint32_t role) {
    return get_uuid(life.members[role].device_uuid);
}

bool was_away(const rr_life& life, uint32_t role, const member_device& now) {
    // What has no serial is known by when it appeared: this one, or a copy, appeared since.
    if (!now.identity.strong && now.identity.text != life_identity(life, role))
        return true;
    // A map, or an array of md, is made anew without a disk having been away. A weak
    // identity has the number in it.
    const bool told = now.identity.strong && !now.identity.text.starts_with("dm.") &&
                      !now.identity.text.starts_with("md.");
    return told && now.limits.volatile_cache && life.members[role].diskseq != now.identity.diskseq;
}

md::uuid life_set_uuid(const rr_life& life) {
    return get_uuid(life.set_uuid);
}

}  // namespace rr
