// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Members that are not this machine's alone. The array's reservations (fence.h): taken before
// superblocks are believed, looked after while it serves, and the end of a service whose
// reservations another host has. And what is asked of members whose I/O failed (judge.h).
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <future>
#include <memory>

#include "base/event.h"
#include "base/io.h"
#include "base/log.h"
#include "base/quiet_thread.h"
#include "export/nvmet.h"
#include "members/fabrics.h"
#include "service/array_service.h"
#include "service/closing.h"
#include "service/heritage.h"
#include "service/home_host.h"

namespace rr {
namespace {

constexpr int readings_most = 3;
constexpr auto usual_patience = std::chrono::seconds(60);
constexpr auto withdraw_time = std::chrono::seconds(2);

// What is here and may be written: members, the replacement and spares.
std::vector<fenced_device> devices_of(const array_members& members) {
    std::vector<fenced_device> out;
    for (uint32_t i = 0; i <= members.replacement_index(); i++) {
        if (const member_device* device = members.device(i))
            out.push_back({i, device->fd.get(), device->path});
    }
    for (const spare_device& spare : members.spares)
        out.push_back({RR_MEMBERS_MAX, spare.device.fd.get(), spare.device.path});
    return out;
}

// The same devices by descriptors that outlive the exclusive ones.
class held_devices {
public:
    explicit held_devices(const array_members& members) : list_(devices_of(members)) {
        for (fenced_device& device : list_) {
            const std::string self = fmt::format("/proc/self/fd/{}", device.fd);
            device.fd = fds_.emplace_back(::open(self.c_str(), O_RDONLY | O_CLOEXEC)).get();
        }
    }
    [[nodiscard]] const std::vector<fenced_device>& list() const { return list_; }
    [[nodiscard]] bool have(const array_members& members) const {
        return std::ranges::all_of(devices_of(members), [this](const fenced_device& now) {
            return std::ranges::any_of(
                list_, [&now](const fenced_device& had) { return had.path == now.path; });
        });
    }

private:
    std::vector<fenced_device> list_;
    std::vector<Fd> fds_;
};

// Before anybody gets an error, so that who comes over NVMe goes to the other host instead.
// Whose locks of the kernel are taken may wait for this array: he is not waited for.
void withdraw_from_clients(const std::string& block_device) {
    auto done = std::make_shared<std::promise<void>>();
    auto ended = done->get_future();
    quiet_thread([done, block_device] {
        nvmet::withdraw(block_device);
        done->set_value();
    }).detach();
    if (ended.wait_for(withdraw_time) != std::future_status::ready)
        log_error("NVMe clients of {} are not sent away in time", block_device);
}

}  // namespace

// `auto`: where all members are behind a network, and the storage has reservations.
bool array_service::wants_fence(bool all_remote) const {
    if (options_.reserve == reserve_mode::yes || options_.reserve == reserve_mode::no)
        return options_.reserve == reserve_mode::yes;
    if (!all_remote)
        return false;
    for (const member_device* device : members_.present()) {
        auto found = reservations_of(device->fd.get())->read();
        if (!found && lacks_reservations(found.error().err)) {
            log_error(
                "{} has no persistent reservations: nothing keeps another host from "
                "writing to the members",
                device->path);
            return false;
        }
    }
    return true;
}

Status array_service::make_fence() {
    const auto present = members_.present();
    bool all_remote = !present.empty();
    for (const member_device* device : present) {
        const auto paths = fabrics_paths(device->device);
        all_remote = all_remote && !paths.empty();
        const std::string warning = fabrics_warning(device->path, paths);
        if (!warning.empty()) {
            log_error("{}", warning);
            report(warning);
        }
    }
    if (!wants_fence(all_remote))
        return {};
    auto key = new_reservation_key();
    if (!key)
        return forward_error(key.error());
    std::lock_guard hold(parts_lock_);
    fence_.emplace(*key);
    return {};
}

// Who held them may have written until now: members are looked at again.
Status array_service::reserve_members() {
    if (Status ok = make_fence(); !ok || !fence_)
        return ok;
    for (int i = 0; i < readings_most; i++) {
        const held_devices held(members_);
        if (Status ok = fence_->take(held.list(), options_.take_over); !ok) {
            drop_fence();
            return ok;
        }
        if (options_.create)
            return {};
        members_ = {};
        if (Status ok = read_members(); !ok) {
            fence_->give_up(held.list());
            drop_fence();
            return ok;
        }
        if (held.have(members_))
            return {};
    }
    fence_->give_up(devices_of(members_));
    drop_fence();
    return fail(EAGAIN, "the members change while they are reserved");
}

// What a dead daemon of this host left: its rows are of use where nobody came between.
Status array_service::reserve_left() {
    if (Status ok = make_fence(); !ok || !fence_)
        return ok;
    Status taken = fence_->take(devices_of(members_), false);
    if (!taken)
        drop_fence();
    return taken;
}

Status array_service::reserve_newcomer(const member_device& device) {
    if (!fence_)
        return {};
    return fence_->take({{RR_MEMBERS_MAX, device.fd.get(), device.path}}, false);
}

void array_service::drop_fence() {
    std::lock_guard hold(parts_lock_);
    fence_.reset();
}

// Nothing: a device that does not answer says nothing of who wrote to it.
std::optional<bool> array_service::carries_ours(const fenced_device& device) const {
    auto found = md::read_superblock(device.fd);
    if (!found) {
        const int err = found.error().err;
        const bool was_read = err == ENODATA || err == EBADMSG || err == EINVAL;
        return was_read ? std::optional(false) : std::nullopt;
    }
    return device.index >= members_.devices.size() ? found->set_uuid == set_uuid_
                                                   : is_last_write(*life_record(), *found);
}

// In the metadata's thread. False: another host has the members.
bool array_service::members_are_ours() {
    if (!fence_)
        return true;
    std::vector<fenced_device> in_use = devices_of(members_);
    // Who is out by its superblocks decides nothing. One that has failed just now does: the
    // host that takes members one after the other has that one, and the rest not yet.
    const uint64_t state = __atomic_load_n(&array()->state, __ATOMIC_SEQ_CST);
    const bool told =
        state >> RR_STATE_EPOCH_SHIFT == __atomic_load_n(&array()->durable_epoch, __ATOMIC_SEQ_CST);
    std::erase_if(in_use, [this, state, told](const fenced_device& device) {
        return told && device.index < members_.devices.size() &&
               rr_state_is_out(state, device.index) != 0;
    });
    const bool ours =
        fence_->look(in_use, [this](const fenced_device& device) { return carries_ours(device); });
    if (ours || fenced_)
        return ours;
    log_error("fenced: {} has the members of {}; nothing is written to them any more",
              fence_->whose(), short_name(name_));
    tell("Fenced", {{"holder", fence_->whose()}});
    withdraw_from_clients(block_path_);
    fenced_ = true;
    tell_event(wake_.get());
    return false;
}

// Clients get errors; nothing is flushed, no superblock is written.
Status array_service::end_fenced() {
    if (Status stopped = stop_device(true); !stopped)
        log_error("{}", describe(stopped.error()));
    return finish();
}

Status array_service::fenced_error() const {
    return with_hint(
        fail(EBADE, "fenced: {} has the members of {}", fence_->whose(), short_name(name_)),
        "its clients go there; ringraid assemble --take-over brings it back here");
}

void array_service::give_up_reservations() {
    if (fence_ && !fenced_)
        fence_->give_up(devices_of(members_));
    drop_fence();
}

// Before the queues have anything to do.
void array_service::judge_errors(durability::orders& how) {
    const auto present = members_.present();
    const bool remote = std::ranges::any_of(present, [](const member_device* device) {
        return !fabrics_paths(device->device).empty();
    });
    how.judge.patience = options_.no_path_timeout.value_or(
        remote ? std::chrono::milliseconds(usual_patience) : std::chrono::milliseconds(0));
    how.judge.answers = [this](uint32_t index) { return member_answers(index); };
    how.judge.tell = [this](const std::string& event) { tell(event, nlohmann::json::object()); };
    array()->suspects = 0;
    array()->well = 0;
    array()->judged = how.judge.patience.count() != 0 || fence_ ? 1 : 0;
}

// Where the superblock is; what is there does not matter.
bool array_service::member_answers(uint32_t index) const {
    const member_device* device = members_.device(index);
    return device != nullptr && md::read_superblock(device->fd.get()).has_value();
}

bool array_service::flush_one(uint32_t index) {
    Status ok = durability_->insist(
        index, [this, index] { return sync_data(members_.device(index)->fd.get()); });
    if (!ok)
        lose_member(*array(), members_, index, ok.error());
    return static_cast<bool>(ok);
}

void array_service::flush_all() {
    const uint64_t state = __atomic_load_n(&array()->state, __ATOMIC_SEQ_CST);
    for (uint32_t role = 0; role < members_.devices.size(); role++) {
        if (members_.devices[role] && rr_state_is_out(state, role) == 0)
            (void)flush_one(role);
    }
    if (members_.replacement && (state & RR_STATE_REPLACE) != 0)
        (void)flush_one(members_.replacement_index());
}

}  // namespace rr
