// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "engine/flush_desk.h"

#include <atomic>
#include <utility>

#include "engine/words.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {

// What @queue noted had completed when the flush in flight started.
bool flush_desk::covered(uint32_t queue, uint32_t role) const {
    const rr_queue* asks = rr_host_queue(array_, queue);
    for (uint32_t i = 0; i < array_->queues; i++) {
        if (load(asks->flush_start[role][i]) > desks_[role].note[i])
            return false;
    }
    return true;
}

void flush_desk::ask(uint32_t queue, uint32_t role) {
    desk& d = desks_[role];
    if (d.in_flight && covered(queue, role))
        d.served |= 1U << queue;
    else
        d.waiting |= 1U << queue;
}

bool flush_desk::start(uint32_t role) {
    desk& d = desks_[role];
    if (d.in_flight || d.waiting == 0)
        return false;
    for (uint32_t i = 0; i < array_->queues; i++)
        d.note[i] = load(rr_host_queue(array_, i)->written[role]);
    // Nothing of the flush before what it covers was seen.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    d.in_flight = true;
    d.served = std::exchange(d.waiting, 0);
    return true;
}

uint32_t flush_desk::end(uint32_t role) {
    desk& d = desks_[role];
    d.in_flight = false;
    return std::exchange(d.served, 0);
}

}  // namespace rr
