// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A member that is in use is replaced: `ringraid replace`. Redundancy is whole all the
// time: the new device becomes a copy of the member (bpf/engine/job.h), gets all that is
// written to it, and takes its place when all is there. The order:
//
//   checked, as at create         nothing was written
//   parked: the rings know it     under the index behind the roles; so does the arena
//   superblocks, its own first    md/update.h
//   state flag, job               from here on it is written
//   ... all of it is there
//   parked: nothing is in flight
//   flushed; the bitmap's pages   it has none of them before
//   superblocks, its own first    from here on it is the member, whoever starts next
//   arena, its record, the rings
//   go on                         the old one is closed; its superblock stays as it was
//
// Killed in the middle, a successor goes on from the arena. Between the last superblocks
// and the record it finds the new device in the role, and the old one called faulty by the
// others: it then does the rest (adopt_replacement()).
//
// When a member fails, the replacement is given up: its device is a spare again, and where
// it is of use as one, it has a role at once. One that fails itself is let go.
#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "members/spelling.h"
#include "service/array_service.h"
#include "service/closing.h"
#include "service/heritage.h"
#include "service/queue_park.h"
#include "service/report.h"

namespace rr {

// Why none can begin now.
Status array_service::check_replaceable() const {
    const uint64_t state = __atomic_load_n(&array()->state, __ATOMIC_SEQ_CST);
    if (members_.replacement)
        return with_hint(fail(EBUSY, "member {} is being replaced", members_.replacement->role),
                         "ringraid wait, or ringraid cancel");
    if ((state & (RR_STATE_MISSING | RR_STATE_BROKEN)) != 0)
        return with_hint(fail(EIO, "the array is degraded"),
                         "what is missing comes first: ringraid add gives it a new device");
    if ((state & RR_STATE_RESYNC) != 0)
        return with_hint(fail(EBUSY, "the array's resync comes first"),
                         "ringraid wait returns when it is over");
    if (durability_->jobs()->runs())
        return with_hint(fail(EBUSY, "another job is under way"),
                         "ringraid wait, or ringraid cancel");
    if (members_.devices.size() >= RR_MEMBERS_MAX)
        return with_hint(
            fail(ENOTSUP, "{} members leave no room for a replacement", members_.devices.size()),
            "ringraid fail, then ringraid add: degraded meanwhile");
    return {};
}

// The spare that is named; the first where none is.
std::optional<size_t> array_service::find_spare(const std::string& spelled) const {
    if (spelled.empty())
        return members_.spares.empty() ? std::nullopt : std::optional<size_t>(0);
    std::vector<const member_device*> devices;
    for (const spare_device& spare : members_.spares)
        devices.push_back(&spare.device);
    return find_device(devices, spelled);
}

Result<spare_device> array_service::take_spare(size_t at) {
    if (Status ok = check_newcomer(members_.spares[at].device); !ok)
        return forward_error(ok.error());
    std::lock_guard hold(parts_lock_);
    spare_device taken = std::move(members_.spares[at]);
    members_.spares.erase(members_.spares.begin() + static_cast<ptrdiff_t>(at));
    return taken;
}

Result<spare_device> array_service::open_replacement(const std::string& path, bool force) {
    if (path.empty())
        return with_hint(fail(ENODEV, "the array has no spare"), "name a device: --with /dev/...");
    auto device = open_newcomer(path, force);
    if (!device)
        return forward_error(device.error());
    Result<spare_device> out = fail(ENODEV, "no member is left");
    durability_->run([&] {
        auto own = new_spare(*device);
        if (own)
            out = spare_device{std::move(*device), std::move(*own)};
        else
            out = forward_error(own.error());
    });
    return out;
}

Result<nlohmann::json> array_service::replace_member(const nlohmann::json& request) {
    auto text = [&request](const char* key) {
        auto at = request.find(key);
        return at != request.end() && at->is_string() ? at->get<std::string>() : std::string();
    };
    auto word = request.find("force");
    if (Status ok = check_replaceable(); !ok)
        return forward_error(ok.error());
    const auto role = find_member(members_, text("member"));
    if (!role)
        return with_hint(fail(ENOENT, "{} is not a member", text("member")),
                         "ringraid status shows the members");
    // As spell_device() has it: where it is, after what it is.
    const std::string spelled = text("with");
    const std::string path = spelled.substr(spelled.find(' ') + 1);
    const auto spare = find_spare(spelled);
    auto device =
        spare ? take_spare(*spare) : open_replacement(path, word != request.end() && *word == true);
    if (!device)
        return forward_error(device.error());
    if (Status done = seat_replacement(*role, *device); !done) {
        // A spare that was not taken is one still.
        std::lock_guard hold(parts_lock_);
        if (spare && device->device.fd)
            members_.spares.insert(members_.spares.begin(), std::move(*device));
        return forward_error(done.error());
    }
    log_info("{} is to replace member {}", members_.replacement->device.path, *role);
    return nlohmann::json{{"schema", json_schema}, {"ok", true}, {"role", *role}};
}

// The device is in the rings, the superblocks and the state when this succeeds.
Status array_service::seat_replacement(uint32_t role, spare_device& taken) {
    const uint32_t index = members_.replacement_index();
    drop_page_cache(taken.device.fd.get(), taken.device.path);
    if (options_.passthrough) {
        auto opened = open_nvme(taken.device);
        if (!opened)
            return forward_error(opened.error());
        namespaces_[index] = std::move(*opened);
    }
    auto told = [&]() -> Status {
        array()->replaced = role;
        array()->members[index].error = 0;
        array()->members[index].data_offset = taken.superblock.data_offset;
        return {};
    };
    Status done = set_ring_member(index, taken.device.fd.get(),
                                  options_.passthrough ? &*namespaces_[index] : nullptr, told);
    if (done) {
        durability_->run([&] { done = begin_replacement(role, taken); });
        // A ring that keeps it keeps it in use.
        if (Status gone = done ? Status{} : set_ring_member(index, -1, nullptr); !gone)
            log_error("{}", describe(gone.error()));
    }
    if (done)
        return done;
    log_error("{} cannot replace member {}: {}", taken.device.path, role, describe(done.error()));
    forget_member(*life_record(), index);
    if (options_.passthrough)
        namespaces_[index].reset();
    return done;
}

// In the metadata's thread.
Status array_service::begin_replacement(uint32_t role, spare_device& taken) {
    // Anew, as its number may be another's by now.
    auto made = new_spare(taken.device);
    if (!made)
        return forward_error(made.error());
    md::md_superblock own = std::move(*made);
    own.device_uuid = taken.superblock.device_uuid;
    if (own.data_offset != array()->members[members_.replacement_index()].data_offset)
        return fail(EAGAIN, "the members have changed");
    remember_member(*life_record(), members_.replacement_index(), taken.device, own.device_uuid);
    {
        std::lock_guard hold(parts_lock_);
        members_.replacement = replacement_device{role, 0, std::move(taken.device), own, own};
    }
    auto written = metadata_->begin_replacement(role, std::move(own));
    if (!written || written->written.empty()) {
        std::lock_guard hold(parts_lock_);
        taken.device = std::move(members_.replacement->device);
        members_.replacement.reset();
        return written ? fail(EAGAIN, "superblocks of members are late")
                       : forward_error(written.error());
    }
    lose_unwritten(*array(), *written);
    durability_->jobs()->begin_replacement(0);
    return {};
}

// From the thread that records failures: what is to be done parks the queues.
void array_service::ask_for(const char* command) {
    Fd nobody;
    take_order({{"command", command}}, nobody);
}

// All of it is there.
Status array_service::finish_replacement() {
    if (!members_.replacement || !durability_->jobs()->is_to_replace())
        return {};
    const uint32_t role = members_.replacement->role;
    const uint32_t index = members_.replacement_index();
    std::optional<member_device> old;
    queue_park all(array(), &queues_);
    Status done = all.park();
    if (done)
        durability_->run([&] { done = change_places(old); });
    std::optional<nvme_namespace> before;
    if (done && options_.passthrough) {
        before = std::exchange(namespaces_[role], std::exchange(namespaces_[index], std::nullopt));
    }
    if (done) {
        flusher_->set_member(role, members_.devices[role]->fd.get());
        flusher_->set_member(index, -1);
        if (members_.logged)
            log_->set_place(role, log_place(role));
    }
    for (auto& queue : queues_) {
        if (!done)
            break;
        Status known = queue->set_member(role, members_.devices[role]->fd.get(),
                                         options_.passthrough ? &*namespaces_[role] : nullptr);
        if (known)
            known = queue->set_member(index, -1, nullptr);
        if (!known)
            lose_member(*array(), members_, role, known.error());
    }
    all.resume();
    if (done)
        log_info("{} is member {} in place of {}", members_.devices[role]->path, role, old->path);
    return done;
}

// In the metadata's thread, and nothing is in flight.
Status array_service::change_places(std::optional<member_device>& old) {
    const uint32_t role = members_.replacement->role;
    const uint32_t index = members_.replacement_index();
    const int fd = members_.replacement->device.fd.get();
    if (!durability_->jobs()->is_to_replace() || !metadata_->replacement())
        return fail(EAGAIN, "the replacement of member {} cannot end now", role);
    if (!flush_member(*array(), members_, index))
        return fail(EIO, "the new device of member {} takes no flush", role);
    if (bitmap_) {
        const md::bitmap& image = bitmap_->image();
        const md::md_superblock& own = *metadata_->replacement();
        Status ok = md::bitmap_room(own) < image.bytes()
                        ? fail(ENOSPC, "it has no room for the bitmap")
                        : md::write_bitmap(fd, own, image, image.all_pages());
        if (!ok) {
            lose_member(*array(), members_, index, ok.error());
            return ok;
        }
    }
    // Nothing is in flight, and what its log had is durable on the others and on it.
    const auto& copy = metadata_->replacement();
    auto area = copy && members_.logged ? md::locate_ppl(*copy) : Result<md::sector_range>({});
    Status emptied = !members_.logged ? Status{}
                     : area           ? md::write_empty_ppl(fd, set_uuid_, *area)
                                      : Status(forward_error(area.error()));
    if (!emptied) {
        lose_member(*array(), members_, index, emptied.error());
        return emptied;
    }
    auto written = metadata_->replacement_finished();
    if (!written) {
        // Its own superblock is the first: it takes none.
        if (written.error().err != EAGAIN)
            lose_member(*array(), members_, index, written.error());
        return forward_error(written.error());
    }
    if (written->written.empty())
        return fail(EAGAIN, "superblocks of members are late");
    adopt_replacement(old);
    durability_->jobs()->replaced();
    lose_unwritten(*array(), *written);
    return {};
}

// The superblocks say that it is the member; so does the rest from here on.
void array_service::adopt_replacement(std::optional<member_device>& old) {
    const uint32_t role = members_.replacement->role;
    const uint32_t index = members_.replacement_index();
    array()->members[role].data_offset = array()->members[index].data_offset;
    array()->members[role].error = 0;
    std::lock_guard hold(parts_lock_);
    const md::md_superblock own = *metadata_->member(role);
    remember_member(*life_record(), role, members_.replacement->device, own.device_uuid);
    forget_member(*life_record(), index);
    old = std::exchange(members_.devices[role], std::move(members_.replacement->device));
    members_.found[role] = own;
    members_.plan.members[role] = md::assembled_member{0, members_.devices[role]->path, own};
    members_.replacement.reset();
}

// It was given up, and the superblocks know.
Status array_service::release_replacement() {
    bool over = false;
    bool failed = false;
    const uint32_t index = members_.replacement_index();
    release_waits_ = false;
    if (!members_.replacement)
        return {};
    durability_->run([&] {
        over = !metadata_->replacement();
        const int error = array()->members[index].error;
        failed = error != 0 && error != ECANCELED;
    });
    if (!over)
        return {};
    if (Status ok = set_ring_member(index, -1, nullptr); !ok) {
        release_waits_ = true;
        next_spare_try_ = std::chrono::steady_clock::now() + spare_retry;
        return ok;
    }
    replacement_device gone;
    durability_->run([&] {
        std::lock_guard hold(parts_lock_);
        gone = std::move(*members_.replacement);
        members_.replacement.reset();
    });
    forget_member(*life_record(), index);
    if (options_.passthrough)
        namespaces_[index].reset();
    if (failed) {
        log_info("{} is let go", gone.device.path);
        return {};
    }
    log_info("{} is a spare", gone.device.path);
    if (Status ok = hold_spare(std::move(gone.device)); !ok)
        return ok;
    return use_spare();
}

}  // namespace rr
