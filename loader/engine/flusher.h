// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The thread that flushes the members, and has them make zeros: docs/decisions/0030, 0038.
//
// It has a ring of its own. A queue's ring sends it a message (bpf/ring/sqe.h, rr_sqe_ask())
// and gets one back, whose result is the flush's:
//
//   queue 0:  MSG_RING  role 2  --->  flush_desk: nothing in flight
//                                     FSYNC of member 2, in a worker of this ring
//   queue 1:  MSG_RING  role 2  --->  flush_desk: shares it, or waits for the next
//                                     FSYNC ends
//   queues 0, 1  <--- MSG_RING  token of the flush, 0 or -errno
//
// All members are flushed at once, each by a worker; the last idle one stays, so a flush
// goes on where there is no memory for others. Both ways whoever sends hears of a message
// that is lost for want of memory, and sends it again: this thread after 10 ms.
//
// The flush is that of the block device, also of members that are driven by NVMe commands:
// it is one of the same namespace, and covers what those have written.
//
// Zeros are asked for by each cell that becomes zeros (rr_sqe_zero()), and are a fallocate()
// of the block device, which sends the member a command for it, or pages of zeros where the
// member has none:
//
//   queue 0:  MSG_RING  slots 3, 4, role 2  --->  zero_desk: one range of member 2
//                                     FALLOCATE, in a worker; then FSYNC where it must last
//   queue 0  <--- MSG_RING  token of each slot's I/O, its bytes or -errno
//
// First with leave to deallocate (PUNCH_HOLE), which a member that cannot both deallocate
// and promise zeros refuses, or does without; then, or where the client wants none of that,
// without (ZERO_RANGE).
//
// System calls: one for what has come and what is sent, a worker's own none. They are not
// the queues', which stay in theirs.
#pragma once

#include <liburing.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "engine/flush_desk.h"
#include "engine/zero_desk.h"
#include "ringraid/ring.h"

namespace rr {

class flusher {
public:
    explicit flusher(rr_array* array);
    ~flusher();
    flusher(const flusher&) = delete;
    flusher& operator=(const flusher&) = delete;

    // Makes the ring. @member_fds by role, -1 where none.
    Status open(const std::vector<int>& member_fds);
    [[nodiscard]] int ring_fd() const { return ring_.ring_fd; }
    // The rings of the queues, to which it answers; then the thread runs.
    void go(const std::vector<int>& queue_rings);
    // While the queues are parked: nobody asks, and nothing is in flight.
    void set_member(uint32_t role, int member_fd) { fds_[role] = member_fd; }
    // When no queue runs any more.
    void stop();

private:
    void main();
    io_uring_sqe* next_sqe();
    void watch_stop();
    void take(uint64_t token, int result);
    void send_flushes();
    void answer(uint32_t queue, uint32_t role);
    void take_zero(uint64_t token, uint32_t flags);
    void send_zeroes();
    void send_zero(uint32_t role, int mode);
    void zero_ended(uint32_t role, int result);
    void answer_zeroes(uint32_t role, int result);
    void answer_zero(uint64_t token);
    int& zero_result(uint64_t token);
    int submit_and_wait();

    // The command for zeros that a member has.
    struct zero_command {
        zero_desk::range what;
        int mode = 0;
    };

    rr_array* array_;
    flush_desk desk_;
    zero_desk zero_desk_;
    std::array<zero_command, RR_MEMBERS_MAX> zeroing_{};
    io_uring ring_{};
    bool ring_ready_ = false;
    Fd stop_event_;
    uint64_t stop_count_ = 0;
    bool stopped_ = false;
    std::array<std::atomic<int>, RR_MEMBERS_MAX> fds_{};
    std::vector<int> queue_rings_;
    // Results, by queue and role: none of them asks again before it has its answer.
    std::array<std::array<int, RR_MEMBERS_MAX>, RR_QUEUES_MAX> answers_{};
    std::vector<int> zero_results_;  // by queue, slot and role, as above
    std::vector<uint64_t> lost_;     // answers: their user_data
    std::thread thread_;
};

}  // namespace rr
