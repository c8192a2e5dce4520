// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The thread that writes the partial parity logs: docs/decisions/0035.
//
// What there is to write, and when, is log_writer.h's; here are its ring and its sleep:
//
//   queue 0:  a slot stands in log_ask[]; MSG_RING, if the thread sleeps  --->
//             look(): a unit for each log that is idle
//             WRITE of each, with RWF_DSYNC where a cache could lose it
//             the writes end
//   queue 0  <--- MSG_RING: log_answer[]
//   (its rows are written; the last share comes back; MSG_RING, if the thread sleeps  --->)
//
// One system call sends all that a turn has made, and sleeps where there is nothing more to
// do. Messages either way may be lost, which costs time only: queues look at each tick,
// and this thread every 10 ms while somebody waits.
//
// What says nothing about the medium is written again, as rows are, and so is what the control
// plane has to judge first (docs/decisions/0037). A unit that could not be written puts its
// member out (rr_array.state), as a row would; the control plane is told, and records it before
// anybody is answered.
//
// Memory is had at the start: no write waits for any. The block device is written, also of
// members that are driven by NVMe commands: the log is no place that those write.
#pragma once

#include <liburing.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "engine/log_writer.h"

namespace rr {

class log_thread {
public:
    // A member's log: sectors of its device. None: fd -1, or no sectors.
    struct place {
        int fd = -1;
        uint64_t sector = 0;
        uint64_t sectors = 0;
    };
    using places = std::array<place, RR_MEMBERS_MAX>;  // by role

    // Each log is empty (md::write_empty_ppl()). The arena outlives this object.
    log_thread(rr_array* array, const md::uuid& set_uuid);
    ~log_thread();
    log_thread(const log_thread&) = delete;
    log_thread& operator=(const log_thread&) = delete;

    // Makes the ring.
    Status open(const places& where);
    [[nodiscard]] int ring_fd() const { return ring_.ring_fd; }
    [[nodiscard]] log_writer::totals counted() const { return writer_.counted(); }
    // The rings of the queues, to which it answers, and the control plane's, which is told
    // of failures; then the thread runs. A RR_TOKEN_MESSAGE to ring_fd() makes it look:
    // queues send that, and who has stored durable_epoch.
    void go(const std::vector<int>& queue_rings, int control_ring);
    // While the queues are parked: nothing is in flight. The log there is empty.
    void set_place(uint32_t role, const place& where);
    // When no queue runs any more.
    void stop();

private:
    void main();
    bool turn();
    void take(uint64_t token, int result);
    io_uring_sqe* next_sqe();
    void write(uint32_t role, uint64_t sector, std::span<const uint8_t> bytes);
    void write_again(uint32_t role);
    void unit_over(uint32_t role, int result);
    void look_at_suspects();
    void judged(uint32_t role);
    void send(int ring, uint64_t message, uint64_t token);
    void tell_control();
    int submit(bool sleep);
    [[nodiscard]] bool waits() const;

    rr_array* array_;
    log_writer writer_;
    std::mutex writer_lock_;  // against set_place() alone
    places places_{};
    struct unit {
        std::span<const uint8_t> bytes;
        uint64_t sector = 0;
        uint32_t retries = 0;
        int error = 0;  // what it is to be judged by
    };
    std::array<unit, RR_MEMBERS_MAX> units_{};  // in flight, by role
    uint32_t again_ = 0;                        // roles, whose write said nothing about the medium
    uint32_t suspects_ = 0;                     // roles, whose error waits for a look
    std::chrono::steady_clock::time_point again_at_;
    io_uring ring_{};
    bool ring_ready_ = false;
    Fd stop_event_;
    uint64_t stop_count_ = 0;
    bool stopped_ = false;
    bool control_waits_ = false;  // it has not been told
    std::vector<int> queue_rings_;
    int control_ring_ = -1;
    std::thread thread_;
};

}  // namespace rr
