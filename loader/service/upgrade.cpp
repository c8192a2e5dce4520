// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/upgrade.h"

#include <liburing.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "base/log.h"

namespace rr {
namespace {

using namespace std::chrono_literals;

// A request in flight may be a retry of some seconds: then not now.
constexpr auto park_wait = 5s;
constexpr auto wake_every = 20ms;

}  // namespace

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

// A queue that sleeps has to look at rr_array.park. A message that finds no
// memory is sent again.
void queue_host::wake_queues() const {
    io_uring ring{};
    if (io_uring_queue_init(RR_QUEUES_MAX, &ring, 0) < 0)
        return;
    io_uring_cqe* done = nullptr;
    (void)io_uring_wait_cqe_nr(&ring, &done, wake_rings(ring, q_.setting.ring_fds));
    io_uring_queue_exit(&ring);
}

Status queue_host::park() {
    __atomic_store_n(&q_.array->park, 1, __ATOMIC_SEQ_CST);
    const auto end = std::chrono::steady_clock::now() + park_wait;
    for (auto& queue : *q_.queues) {
        do {
            if (std::chrono::steady_clock::now() > end)
                return with_hint(
                    fail(EBUSY, "requests in flight take longer than {} s", park_wait / 1s),
                    "look at the members, then try again");
            wake_queues();
        } while (!queue->wait_parked(std::chrono::steady_clock::now() + wake_every));
    }
    return {};
}

void queue_host::resume() {
    __atomic_store_n(&q_.array->park, 0, __ATOMIC_SEQ_CST);
    for (auto& queue : *q_.queues)
        queue->unpark();
    wake_queues();
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
