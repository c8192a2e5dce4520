// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Devices come and go while the array serves: `ringraid add`, `remove`, and a spare
// that takes the place of a member that failed.
//
// In the main thread, which may wait: the queues are parked for a moment, as a ring
// takes its files from its own thread only. What the metadata has to do with it runs in
// the thread that owns them (durability.h). The order for a device that gets a role:
//
//   checked, as at create         nothing was written
//   parked: the rings know it     the role is still out, so nothing goes to it
//   told the arena, its record    what a successor compares
//   superblocks, its own first    md/update.h
//   state flag, job               from here on it is written
//
// Killed in between, the role is out as before, and the device is added again.
#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "md/whitelist.h"
#include "members/spelling.h"
#include "service/array_service.h"
#include "service/closing.h"
#include "service/heritage.h"
#include "service/limits.h"
#include "service/queue_park.h"
#include "service/report.h"

namespace rr {
namespace {

nlohmann::json good(nlohmann::json more) {
    more.update({{"schema", json_schema}, {"ok", true}});
    return more;
}

bool is_rebuilding(const rr_array* array) {
    return (__atomic_load_n(&array->state, __ATOMIC_SEQ_CST) & RR_STATE_REBUILD) != 0;
}

}  // namespace

std::optional<uint32_t> array_service::empty_role() const {
    const uint64_t state = __atomic_load_n(&array()->state, __ATOMIC_SEQ_CST);
    const uint64_t mask = state & RR_STATE_MISSING;
    // Of rows whose parity is not right the lost blocks cannot be had.
    // One job at a time: the one that is ending goes by its own frontier to the last.
    if (mask == 0 || (state & (RR_STATE_BROKEN | RR_STATE_REBUILD | RR_STATE_RESYNC)) != 0 ||
        durability_->jobs()->runs())
        return std::nullopt;
    return static_cast<uint32_t>(__builtin_ctzll(mask));
}

// Where make_spare() puts their data: as on the first member in use.
uint64_t array_service::data_offset_of_newcomers() const {
    const uint64_t state = __atomic_load_n(&array()->state, __ATOMIC_SEQ_CST);
    for (uint32_t role = 0; role < members_.devices.size(); role++) {
        if ((state >> role & 1) == 0)
            return array()->members[role].data_offset;
    }
    return 0;
}

// Its limits were promised to clients when the array started.
Status array_service::check_newcomer(const member_device& device) const {
    const rr_array* a = array();
    const uint64_t needed_sectors = data_offset_of_newcomers() + a->member_sectors;
    if (device.sectors < needed_sectors)
        return with_hint(fail(ENOSPC, "{} has {} sectors, {} are needed", device.path,
                              device.sectors, needed_sectors),
                         "use a disk as large as the others");
    // NVMe commands count in blocks, one size for all.
    if (options_.passthrough &&
        device.logical_block_bytes != members_.present()[0]->logical_block_bytes)
        return with_hint(
            fail(EINVAL, "{} has blocks of {} bytes, the members of {}", device.path,
                 device.logical_block_bytes, members_.present()[0]->logical_block_bytes),
            "use a device with blocks like theirs");
    if (device.logical_block_bytes > members_.logical_block_bytes)
        return with_hint(fail(EINVAL, "{} has blocks of {} bytes, the array of {}", device.path,
                              device.logical_block_bytes, members_.logical_block_bytes),
                         "stop the array and start it again with the device: it then has the "
                         "larger blocks");
    const uint32_t io = member_io_sectors({&device});
    const uint32_t needed =
        std::max<uint32_t>(a->read_cut, 1U << (a->cell_shift - RR_SECTOR_SHIFT));
    if (io < needed)
        return with_hint(fail(EINVAL, "{} takes {} sectors in one I/O, the array gives it {}",
                              device.path, io, needed),
                         "use a device like the others");
    return {};
}

Result<member_device> array_service::open_newcomer(const std::string& path, bool force) {
    open_options look;
    look.read_only = true;
    auto seen = open_member(path, look);
    if (!seen)
        return seen;
    auto sb = md::read_superblock(seen->fd.get());
    // One that was a member or a spare of this very array.
    const bool known = sb && sb->set_uuid == set_uuid_;
    seen->fd.reset();
    open_options take;
    take.for_create = true;
    take.force = force || known;
    auto device = open_member(path, take);
    if (!device)
        return device;
    if (Status ok = check_newcomer(*device); !ok)
        return forward_error(ok.error());
    if (Status ok = reserve_newcomer(*device); !ok)
        return forward_error(ok.error());
    for (const auto& member : members_.devices) {
        if (member && member->identity.strong && same_disk(member->identity, device->identity))
            return with_hint(
                fail(EEXIST, "{} and {} are one disk by what they say", path, member->path),
                "use a disk that is not in the array");
    }
    if (const member_device* copy = members_.device(members_.replacement_index());
        copy != nullptr && copy->identity.strong && same_disk(copy->identity, device->identity))
        return fail(EEXIST, "{} and {} are one disk by what they say", path, copy->path);
    for (const spare_device& spare : members_.spares) {
        if (spare.device.identity.strong && same_disk(spare.device.identity, device->identity))
            return fail(EEXIST, "{} and {} are one disk by what they say", path, spare.device.path);
    }
    if (Status ok = options_.passthrough ? open_nvme(*device).map([](const auto&) {}) : Status{};
        !ok)
        return forward_error(ok.error());
    if (force && !known) {
        const std::string held = fmt::format("/proc/self/fd/{}", device->fd.get());
        if (Status ok = wipe_signatures(held); !ok)
            return forward_error(ok.error());
    }
    return device;
}

// The facts of the array, as some member in use has them now. In the metadata's thread.
const md::md_superblock* array_service::some_superblock() const {
    for (uint32_t role = 0; role < members_.devices.size(); role++) {
        const auto& sb = metadata_->member(role);
        if (sb && (sb->feature_map & md::feature_recovery_offset) == 0)
            return &*sb;
    }
    return nullptr;
}

std::vector<uint32_t> array_service::spare_numbers() const {
    std::vector<uint32_t> taken;
    for (const spare_device& spare : members_.spares)
        taken.push_back(spare.superblock.dev_number);
    return taken;
}

// The superblock of a spare, by the facts of today. In the metadata's thread.
Result<md::md_superblock> array_service::new_spare(const member_device& device) const {
    const md::md_superblock* of = some_superblock();
    if (of == nullptr)
        return fail(ENODEV, "no member is left");
    auto own = md::make_spare(*of, device.sectors, spare_numbers());
    if (Status ok = own ? name_log(*own) : Status{}; !ok)
        return forward_error(ok.error());
    return own;
}

Status array_service::hold_spare(member_device&& device) {
    Status held;
    durability_->run([&] {
        auto own = new_spare(device);
        held = own ? md::write_superblock(device.fd.get(), *own) : forward_error(own.error());
        if (!held)
            return;
        std::lock_guard hold(parts_lock_);
        members_.spares.push_back({std::move(device), std::move(*own)});
    });
    return held;
}

Status array_service::set_ring_member(uint32_t role, int fd, const nvme_namespace* ns,
                                      const std::function<Status()>& while_parked) {
    queue_park all(array(), &queues_);
    Status done = all.park();
    if (done)
        flusher_->set_member(role, fd);
    // It has none yet: give_role().
    if (done && log_)
        log_->set_place(role, {});
    for (auto& queue : queues_) {
        if (done)
            done = queue->set_member(role, fd, ns);
    }
    if (done && while_parked)
        done = while_parked();
    all.resume();
    return done;
}

// In the metadata's thread: the rings have it. @by_bitmap: it had the role, and the queues
// are parked, so nothing is written between the count of what it lacks and the flag.
Status array_service::give_role(uint32_t role, spare_device&& spare, bool by_bitmap) {
    const md::md_superblock* of = some_superblock();
    if (of == nullptr)
        return fail(ENODEV, "no member is left");
    // Anew: what it was a spare of is long ago, and its number may be another's by now.
    auto made =
        by_bitmap ? md::make_returning(*of, spare.superblock, spare.device.sectors, spare_numbers())
                  : md::make_spare(*of, spare.device.sectors, spare_numbers());
    if (!made)
        return forward_error(made.error());
    md::md_superblock own = std::move(*made);
    own.device_uuid = spare.superblock.device_uuid;
    if (Status ok = name_log(own); !ok)
        return ok;
    // Long before the flag that makes plans heed it, however a CPU orders its loads.
    array()->job.frontier = array()->job.next = 0;
    array()->job.by_region = 0;
    array()->members[role].data_offset = own.data_offset;
    remember_member(*life_record(), role, spare.device, own.device_uuid);
    {
        std::lock_guard hold(parts_lock_);
        members_.found[role] = own;
        members_.plan.members[role] = md::assembled_member{0, spare.device.path, own};
        members_.devices[role] = std::move(spare.device);
    }
    // All of it before the role: a copy that is behind would be believed.
    if (bitmap_) {
        const md::bitmap& image = bitmap_->image();
        if (Status ok =
                md::write_bitmap(members_.devices[role]->fd.get(), own, image, image.all_pages());
            !ok)
            return ok;
    }
    if (Status ok = members_.logged ? give_log(role, own) : Status{}; !ok)
        return ok;
    auto written = metadata_->begin_rebuild(role, std::move(own), by_bitmap);
    if (!written)
        return forward_error(written.error());
    lose_unwritten(*array(), *written);
    if (by_bitmap)
        bitmap_->need_all_set();
    durability_->jobs()->begin_rebuild(role, 0, by_bitmap);
    return {};
}

// The device is in the rings, the superblocks and the state when this succeeds. Where the
// rings do not take it, @taken is as it was.
Status array_service::seat(uint32_t role, spare_device& taken, bool by_bitmap) {
    const std::string path = taken.device.path;
    // As of members at the start: see start_device().
    drop_page_cache(taken.device.fd.get(), path);
    std::optional<nvme_namespace> ns;
    if (options_.passthrough) {
        auto opened = open_nvme(taken.device);
        if (!opened)
            return forward_error(opened.error());
        ns = std::move(*opened);
    }
    // The old ones go when no ring has them any more.
    std::optional<nvme_namespace> before;
    if (options_.passthrough)
        before = std::exchange(namespaces_[role], std::move(ns));
    Status given;
    auto give = [&] {
        durability_->run([&] { given = give_role(role, std::move(taken), by_bitmap); });
        return given;
    };
    Status done = set_ring_member(role, taken.device.fd.get(),
                                  options_.passthrough ? &*namespaces_[role] : nullptr,
                                  by_bitmap ? give : std::function<Status()>());
    if (done && !by_bitmap)
        done = give();
    if (!done)
        log_error("{} cannot take the place of member {}: {}", path, role, describe(done.error()));
    return done;
}

// Also asked for by nobody: a member failed, and a spare is there.
Status array_service::use_spare() {
    const auto role = empty_role();
    if (!role || members_.spares.empty())
        return {};
    spare_device spare = [this] {
        std::lock_guard hold(parts_lock_);
        spare_device first = std::move(members_.spares.front());
        members_.spares.erase(members_.spares.begin());
        return first;
    }();
    const std::string path = spare.device.path;
    // A try costs clients a pause where requests take long.
    next_spare_try_ = std::chrono::steady_clock::now() + spare_retry;
    if (Status ok = check_newcomer(spare.device); !ok) {
        log_error("{} is of no use as a spare: {}", path, describe(ok.error()));
        return ok;
    }
    if (Status done = seat(*role, spare, false); !done) {
        // Where it was not taken it is tried again: nothing is wrong with it.
        std::lock_guard hold(parts_lock_);
        if (spare.device.fd)
            members_.spares.insert(members_.spares.begin(), std::move(spare));
        return done;
    }
    log_info("{} takes the place of member {}, and is filled from the others", path, *role);
    return {};
}

// The superblock of a device that was a member, if all that it lacks is in the bitmap.
Result<md::md_superblock> array_service::what_returns(const member_device& device) {
    auto own = md::read_superblock(device.fd.get());
    if (!own)
        return own;
    const auto role = empty_role();
    if (!bitmap_ || !role || own->set_uuid != set_uuid_ || own->role() != *role)
        return fail(EINVAL, "it was not the member that is missing");
    // Of a copy nobody knows how old it is: writes alone do not change a superblock.
    if (is_another_disk(*life_record(), *role, device))
        return fail(EINVAL, "it is another disk than the member that is missing: a copy?");
    if (auto terms = md::check_servable_member(device.fd.get(), *own);
        !terms || terms->features_to_clear != 0)
        return fail(EINVAL, "its superblock has what is not kept");
    Result<md::md_superblock> out = fail(ENODEV, "no member is left");
    durability_->run([&] {
        const md::md_superblock* of = some_superblock();
        if (of != nullptr)
            out = md::make_returning(*of, *own, device.sectors, spare_numbers());
        const md::bitmap& image = bitmap_->image();
        if (out && (!own->has(md::feature_bitmap) || md::bitmap_room(*own) < image.bytes()))
            out = fail(EINVAL, "it has no bitmap");
        if (out && own->events < image.events_cleared())
            out = fail(EINVAL, "it was away before the bitmap's time");
    });
    if (out)
        return own;
    return out;
}

Status array_service::take_back(member_device&& device, md::md_superblock&& own) {
    const uint32_t role = own.role();
    const std::string path = device.path;
    spare_device back{std::move(device), std::move(own)};
    if (Status done = seat(role, back, true); !done)
        return done;
    log_info("{} is member {} again, and gets what was written while it was away", path, role);
    return {};
}

Result<nlohmann::json> array_service::add_devices(const nlohmann::json& request) {
    std::vector<std::string> paths;
    // Types are anybody's.
    if (auto named = request.find("devices"); named != request.end() && named->is_array()) {
        for (const nlohmann::json& path : *named) {
            if (path.is_string())
                paths.push_back(path.get<std::string>());
        }
    }
    auto word = request.find("force");
    const bool force = word != request.end() && *word == true;
    if (paths.empty())
        return fail(EINVAL, "no device is named");
    if (health_of(array()) == array_health::failed)
        return with_hint(fail(EIO, "two members failed"), "stop the array");
    if ((array()->state & RR_STATE_RESYNC) != 0 && health_of(array()) == array_health::degraded)
        return with_hint(fail(EIO,
                              "a member was lost before parity was right: what it held in "
                              "the rest of the rows cannot be had"),
                         "save what can be read; then stop it, and assemble with --force");
    Status added = hold_spares(paths, force);
    // What was taken before an error is of use all the same.
    if (Status ok = use_spare(); added && !ok)
        added = ok;
    if (!added)
        return forward_error(added.error());
    return good({{"rebuilding", is_rebuilding(array())}, {"spares", members_.spares.size()}});
}

Status array_service::hold_spares(const std::vector<std::string>& paths, bool force) {
    for (const std::string& spelled : paths) {
        // As spell_device() has it: where it is, after what it is.
        const std::string path = spelled.substr(spelled.find(' ') + 1);
        // A failed member that is tried again.
        const auto was = find_member(members_, spelled);
        if (was && is_let_go(*was)) {
            if (Status ok = let_member_go(*was); !ok)
                return ok;
        }
        auto device = open_newcomer(path, force);
        if (!device)
            return forward_error(device.error());
        if (auto own = what_returns(*device)) {
            if (Status ok = take_back(std::move(*device), std::move(*own)); !ok)
                return ok;
            continue;
        }
        if (Status ok = hold_spare(std::move(*device)); !ok)
            return ok;
        log_info("{} is a spare", path);
    }
    return {};
}

// It is out, and nothing is done to it.
bool array_service::is_let_go(uint32_t role) const {
    return rr_state_is_out(__atomic_load_n(&array()->state, __ATOMIC_SEQ_CST), role) != 0;
}

Status array_service::let_member_go(uint32_t role) {
    if (!members_.devices[role])
        return {};
    if (Status ok = set_ring_member(role, -1, nullptr); !ok)
        return ok;
    durability_->run([&] {
        std::lock_guard hold(parts_lock_);
        members_.devices[role].reset();
        members_.plan.members[role].reset();
    });
    if (options_.passthrough)
        namespaces_[role].reset();
    return {};
}

Result<nlohmann::json> array_service::remove_device(const nlohmann::json& request) {
    auto named = request.find("device");
    const std::string spelled =
        named != request.end() && named->is_string() ? named->get<std::string>() : std::string();
    if (const auto at = spelled.empty() ? std::nullopt : find_spare(spelled)) {
        durability_->run([&] {
            std::lock_guard hold(parts_lock_);
            members_.spares.erase(members_.spares.begin() + static_cast<ptrdiff_t>(*at));
        });
    } else {
        const auto role = find_member(members_, spelled);
        if (!role || !members_.devices[*role])
            return with_hint(fail(ENOENT, "{} is no device of the array", spelled),
                             "ringraid status shows them");
        if (!is_let_go(*role))
            return with_hint(fail(EBUSY, "{} is in use", spelled),
                             "ringraid fail takes it out of use first");
        if (Status ok = let_member_go(*role); !ok)
            return forward_error(ok.error());
        // It does not come back by itself (array_return.cpp).
        __atomic_store_n(&array()->members[*role].error, ENODEV, __ATOMIC_SEQ_CST);
    }
    return good({});
}

}  // namespace rr
