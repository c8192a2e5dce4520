// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Who shares a flush of a member.
//
// A queue asks for a flush of a member when writes have completed on it that no flush
// covers (bpf/engine/flush.h), and has noted in the arena which ones, by queue
// (rr_queue.flush_start). One flush of a member is in flight at a time:
//
//   nothing is in flight   a flush starts, for all that wait
//   one is in flight       who asks waits for the next, and shares it with others
//                          that wait; but what he noted may be no more than what had
//                          completed when the one in flight started: then he has that
//
//   queue 0 asks   ->  flush 1: 7 writes of queue 0, 3 of queue 1 have completed
//   queue 1 asks, noted 7 and 3      flush 1 is his as well
//   queue 2 asks, noted 8 and 3      waits
//   queue 3 asks, noted 8 and 4      waits
//   flush 1 ends                     0 and 1 are answered, flush 2 starts for 2 and 3
//
// So clients that flush at the same moment cost one flush of each member, and nobody
// waits for more than two. What a queue noted does not change before it is answered.
// A result is that of all who share it.
//
// Not thread-safe. The simulator plays it.
#pragma once

#include <array>
#include <cstdint>

#include "ringraid/abi.h"

namespace rr {

class flush_desk {
public:
    explicit flush_desk(rr_array* array) : array_(array) {}

    // @queue wants a flush of @role, and has none.
    void ask(uint32_t queue, uint32_t role);
    // Whether a flush of @role is to be sent now; it counts as started.
    bool start(uint32_t role);
    // It has ended: the queues, as a mask, that it was for.
    uint32_t end(uint32_t role);

private:
    struct desk {
        uint32_t waiting = 0, served = 0;  // queues
        bool in_flight = false;
        std::array<rr_u64, RR_QUEUES_MAX> note{};  // writes completed when it started
    };

    [[nodiscard]] bool covered(uint32_t queue, uint32_t role) const;

    rr_array* array_;
    std::array<desk, RR_MEMBERS_MAX> desks_{};
};

}  // namespace rr
