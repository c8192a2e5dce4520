// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/upgrade.h"

#include <unistd.h>

#include <cerrno>

#include "base/log.h"
#include "service/queue_park.h"

namespace rr {
idle_host::idle_host(const std::string& store_pin, const store::area& at, int arena_fd)
    : bpf_host(store_pin, store::bytes(builtin_object().begin(), builtin_object().end()), {}, at) {
    setting_.arena_fd = arena_fd;
    setting_.store_fd = at.fd();
}

Status idle_host::prepare(bpf_object* object) {
    return prepare_program(object, setting_);
}

queue_host::queue_host(const std::string& store_pin, const store::area& at, running_queues queues,
                       store::bytes object)
    : bpf_host(store_pin, std::move(object), {}, at), q_(std::move(queues)), new_runs_(false) {}

queue_host::queue_host(const std::string& store_pin, running_queues queues)
    : bpf_host(store_pin), q_(std::move(queues)), new_runs_(true) {}

Status queue_host::prepare(bpf_object* object) {
    return prepare_program(object, q_.setting);
}

Status queue_host::park() {
    return queue_park(q_.array, q_.queues).park();
}

void queue_host::resume() {
    queue_park(q_.array, q_.queues).resume();
}

Status queue_host::swap(const store::area&, bool to_new) {
    if (to_new == new_runs_)
        return {};
    std::lock_guard hold(*q_.lock);
    if (!*q_.other) {
        bpf_object* loaded = take_object();
        if (loaded == nullptr)
            return fail(ENOENT, "there is no program to swap in");
        q_.other->emplace(bpf_program_set::adopt(loaded, q_.setting.ring_fds.size()));
    }
    (*q_.running)->detach();
    if (Status ok = (*q_.other)->attach(); !ok) {
        if (Status back = (*q_.running)->attach(); !back) {
            log_error(
                "neither program can be attached: {}; the daemon ends, ringraid assemble "
                "takes over",
                describe(back.error()));
            ::_exit(1);
        }
        return ok;
    }
    q_.running->swap(*q_.other);
    new_runs_ = to_new;
    return {};
}

}  // namespace rr
