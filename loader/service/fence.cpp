// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/fence.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "service/home_host.h"

namespace rr {
namespace {

// Between two hosts that preempt each other somebody has to give in.
constexpr int preempts_most = 3;

}  // namespace

bool lacks_reservations(int err) {
    return err == EOPNOTSUPP || err == EINVAL;
}

Result<uint64_t> new_reservation_key() {
    uint64_t chance = 0;
    if (::getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
        return fail(errno, "cannot get random bytes for a key");
    return make_reservation_key(home_host(), chance);
}

std::string holder_text(uint64_t key) {
    const std::string host = host_of_key(key);
    return host.empty() ? fmt::format("a host with key {}", to_hex(key))
                        : fmt::format("host {} (key {})", host, to_hex(key));
}

array_fence::array_fence(uint64_t key, opener open) : key_(key), open_(std::move(open)) {
    if (!open_)
        open_ = [](const fenced_device& device) { return reservations_of(device.fd); };
}

std::string array_fence::whose() const {
    return fenced_by_.value_or(0) == 0 ? "another host" : holder_text(*fenced_by_);
}

Status array_fence::take(const std::vector<fenced_device>& devices, bool take_over) {
    size_t silent = 0;
    for (const fenced_device& device : devices) {
        Status taken = take_one(device, take_over);
        be_unsure(device, !taken);
        if (taken)
            continue;
        const int err = taken.error().err;
        if (err != EBADE && !lacks_reservations(err) && devices.size() > 1 && ++silent == 1) {
            log_error("{} is not reserved: {}", device.path, describe(taken.error()));
            continue;
        }
        give_up(devices);
        return taken;
    }
    return {};
}

// Registering replaces a key of an earlier start of this host, and with it the holder's.
Status array_fence::take_one(const fenced_device& device, bool take_over) {
    const auto on = open_(device);
    if (auto known = on->read(); !known) {
        return lacks_reservations(known.error().err)
                   ? with_hint(fail(EOPNOTSUPP, "{} has no persistent reservations", device.path),
                               "--reserve no serves without: then nothing keeps another host "
                               "from writing to the members")
                   : tl::unexpected<Error>(known.error());
    }
    if (Status ok = on->enter(key_); !ok)
        return fail(ok.error().err, "{}: {}", device.path, ok.error().what);
    for (int i = 0;; i++) {
        auto found = on->read();
        if (!found)
            return forward_error(found.error());
        if (note(device, found) == standing::ours)
            return {};
        if (found->holder != 0 && (!take_over || i == preempts_most))
            return with_hint(
                fail(EBADE, "{} is reserved for {}", device.path, holder_text(found->holder)),
                "if that host is dead or cut off, ringraid assemble --take-over ends its "
                "service");
        // Who lost a race looks again.
        Status done = found->holder != 0 ? on->preempt(key_, found->holder) : on->reserve(key_);
        if (!done && done.error().err != EBADE)
            return forward_error(done.error());
        if (i > preempts_most)
            return fail(EBADE, "{} cannot be reserved", device.path);
    }
}

array_fence::standing array_fence::note(const fenced_device& device,
                                        const Result<reservation_report>& found) {
    nlohmann::json one = {{"device", device.path}, {"role", device.index}};
    if (found) {
        one["holder"] =
            found->holder == 0 ? nlohmann::json() : nlohmann::json(to_hex(found->holder));
        one["keys"] = nlohmann::json::array();
        for (const uint64_t key : found->keys)
            one["keys"].push_back(to_hex(key));
    }
    std::lock_guard hold(lock_);
    auto at = std::ranges::find_if(
        seen_, [&device](const nlohmann::json& j) { return j["device"] == device.path; });
    if (at == seen_.end())
        seen_.push_back(std::move(one));
    else
        *at = std::move(one);
    return !found ? standing::silent : found->holder == key_ ? standing::ours : standing::foreign;
}

bool array_fence::look(const std::vector<fenced_device>& devices, const memory& is_ours) {
    for (const fenced_device& device : devices) {
        if (fenced_by_)
            break;
        (void)stand(device, is_ours);
    }
    return !fenced_by_;
}

array_fence::standing array_fence::stand(const fenced_device& device, const memory& is_ours) {
    auto found = open_(device)->read();
    const standing stands = note(device, found);
    const bool unsure = is_unsure(device);
    if (stands == standing::silent || (stands == standing::ours && !unsure))
        return stands;
    if (found->holder == 0 || unsure)
        return take_again(device, is_ours);
    fenced_by_ = found->holder;
    return standing::foreign;
}

bool array_fence::is_unsure(const fenced_device& device) const {
    std::lock_guard hold(lock_);
    return unsure_.contains(device.path);
}

void array_fence::be_unsure(const fenced_device& device, bool unsure) {
    std::lock_guard hold(lock_);
    if (unsure)
        unsure_.insert(device.path);
    else
        unsure_.erase(device.path);
}

// Reserved first: what is read after that is what stays. Somebody may have been there and
// have left. Until it was read, it is asked again.
array_fence::standing array_fence::take_again(const fenced_device& device, const memory& is_ours) {
    be_unsure(device, true);
    const auto on = open_(device);
    if (Status ok = on->enter(key_); !ok && ok.error().err != EBADE)
        return standing::silent;
    (void)on->reserve(key_);
    auto found = on->read();
    const standing stands = note(device, found);
    if (stands == standing::silent)
        return stands;
    const std::optional<bool> last = stands == standing::ours ? is_ours(device) : false;
    if (!last)
        return standing::silent;
    be_unsure(device, false);
    if (*last) {
        log_info("{} had forgotten its reservation: it is made again", device.path);
        return stands;
    }
    fenced_by_ = stands == standing::ours ? 0 : found->holder;
    if (stands == standing::ours)
        (void)on->release(key_);
    (void)on->leave(key_);
    return standing::foreign;
}

// By the key: what is another's by now stays.
void array_fence::give_up(const std::vector<fenced_device>& devices) {
    for (const fenced_device& device : devices) {
        const auto on = open_(device);
        auto found = on->read();
        if (!found || !found->has(key_))
            continue;
        if (found->holder == key_)
            (void)on->release(key_);
        (void)on->leave(key_);
        std::lock_guard hold(lock_);
        seen_.erase(std::remove_if(
                        seen_.begin(), seen_.end(),
                        [&device](const nlohmann::json& j) { return j["device"] == device.path; }),
                    seen_.end());
    }
}

nlohmann::json array_fence::status() const {
    std::lock_guard hold(lock_);
    return {{"key", to_hex(key_)}, {"host", host_of_key(key_)}, {"members", seen_}};
}

}  // namespace rr
