// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/queue_park.h"

#include <liburing.h>

#include <cerrno>
#include <chrono>

namespace rr {
namespace {

using namespace std::chrono_literals;

// A request in flight may be a retry of some seconds: then not now.
constexpr auto park_wait = 5s;
constexpr auto wake_every = 20ms;

}  // namespace

// A queue that sleeps has to look at rr_array.park. A message that finds no
// memory is sent again.
void queue_park::wake() const {
    std::vector<int> rings;
    for (const auto& queue : *queues_)
        rings.push_back(queue->ring_fd());
    io_uring ring{};
    if (io_uring_queue_init(RR_QUEUES_MAX, &ring, 0) < 0)
        return;
    io_uring_cqe* done = nullptr;
    (void)io_uring_wait_cqe_nr(&ring, &done, wake_rings(ring, rings));
    io_uring_queue_exit(&ring);
}

Status queue_park::park() {
    __atomic_store_n(&array_->park, 1, __ATOMIC_SEQ_CST);
    const auto end = std::chrono::steady_clock::now() + park_wait;
    for (auto& queue : *queues_) {
        do {
            if (std::chrono::steady_clock::now() > end)
                return with_hint(
                    fail(EBUSY, "requests in flight take longer than {} s", park_wait / 1s),
                    "look at the members, then try again");
            wake();
        } while (!queue->wait_parked(std::chrono::steady_clock::now() + wake_every));
    }
    return {};
}

void queue_park::resume() {
    __atomic_store_n(&array_->park, 0, __ATOMIC_SEQ_CST);
    for (auto& queue : *queues_)
        queue->unpark();
    wake();
}

}  // namespace rr
