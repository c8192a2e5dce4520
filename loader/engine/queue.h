// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A ublk queue's ring and thread.
//
// The ring belongs to the thread that makes it (SINGLE_ISSUER), so the thread
// sets up everything and then waits for the word to go:
//
//   thread: ring, memory region, buffers; descriptor table, files -> ready
//   caller: loads and attaches the BPF program to all rings       -> go
//   thread: enters the ring (bpf) or its own loop (user) until ublk has taken
//           back every tag; or until it has parked (bpf/ring/park.h), when it
//           waits, outside of the kernel, to be sent in again
//
// Without a ublk device it is ready when the ring is made, and meets the device later:
// who takes an array from a living daemon has both only at the end (handover.h).
//
// All signals are blocked in the thread: under the BPF host a pending signal
// would end the wait inside the kernel.
#pragma once

#include <liburing.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "members/nvme.h"
#include "ringraid/ring.h"

namespace rr {

// Sends every ring of @ring_fds a message through @ring, so that its queue looks
// around; how many were sent. Those that find no memory, and a @ring that is
// full, are for the caller to make up for.
unsigned wake_rings(io_uring& ring, const std::vector<int>& ring_fds);

enum class engine_host { bpf, user };

struct queue_config {
    uint32_t queue = 0;
    engine_host host = engine_host::bpf;
    rr_array* array = nullptr;  // the mapped arena
    int ublk_char_fd = -1;      // none: it comes with meet()
    int control_ring_fd = -1;
    int flusher_ring_fd = -1;
    int log_ring_fd = -1;  // none: rows are not logged
    int ended_fd = -1;     // an eventfd: told when ublk has taken back every tag
    bool zero_copy = true;
    std::vector<int> member_fds;  // by role, -1 where none
    // With passthrough: who takes the commands, by role, and the size of its blocks.
    std::vector<const nvme_namespace*> namespaces;
    uint32_t lba_bytes = 512;
    std::optional<cpu_set_t> cpus;  // that the thread runs on; nothing: on any
};

// What comes with the device, for a queue that was made without; as in queue_config.
struct queue_device {
    int ublk_char_fd = -1;
    int control_ring_fd = -1;
    int flusher_ring_fd = -1;
    int log_ring_fd = -1;  // none: rows are not logged
    std::vector<int> member_fds;
    std::vector<const nvme_namespace*> namespaces;
    uint32_t lba_bytes = 512;
    std::optional<cpu_set_t> cpus;
};

class queue_thread {
public:
    explicit queue_thread(queue_config config);
    ~queue_thread();
    queue_thread(const queue_thread&) = delete;
    queue_thread& operator=(const queue_thread&) = delete;

    // Waits until the ring is made. Errors are those of the set-up.
    Status wait_ready();
    [[nodiscard]] int ring_fd() const { return ring_.ring_fd; }
    [[nodiscard]] rr_ring_offsets offsets() const { return at_; }
    // Made without a device: here it is.
    Status meet(queue_device device);
    // The ring fds of all queues, for wake-ups; then the thread runs.
    void go(const std::vector<int>& ring_fds);
    // With rr_array.park set: true when the thread has left its program.
    bool wait_parked(std::chrono::steady_clock::time_point until);
    // With rr_array.park cleared: it goes on, whether it had parked or not.
    void unpark();
    // Parked: @member_fd, or -1, is the device of @role from now on; of its namespace,
    // with passthrough. Returns when the ring has it.
    Status set_member(uint32_t role, int member_fd, const nvme_namespace* ns);
    // Parked: it ends, and its ring with it. ublk keeps the requests.
    void leave();
    // Ends a thread that was never told to go.
    void cancel();
    // Waits for the end: 0, or -errno with which the loop stopped.
    int join();
    // ublk has taken back every tag: the device was stopped, or deleted.
    [[nodiscard]] bool ended() const { return ended_; }
    [[nodiscard]] pid_t tid() const { return tid_; }

private:
    enum class order { wait, meet, go, cancel };

    void main();
    void stay_on_cpus() const;
    Status set_up();
    Status make_ring();
    Status make_page();
    Status register_memory();
    Status meet_device();
    Status map_descriptors();
    Status register_files();
    Status register_buffers();
    Status make_worker();
    int serve();
    int run_loop();
    bool stay_parked();
    Status register_member(uint32_t role);
    void tear_down();

    queue_config config_;
    io_uring ring_{};
    bool ring_ready_ = false;
    rr_ring_offsets at_{};
    void* descriptors_ = nullptr;
    size_t descriptor_bytes_ = 0;
    rr_ring* page_ = nullptr;
    std::mutex lock_;
    std::condition_variable changed_;
    std::optional<Status> ready_;
    order order_ = order::wait;
    bool parked_ = false;
    bool leaves_ = false;
    std::optional<uint32_t> member_to_set_;
    Status member_set_;
    std::atomic<bool> ended_{false};
    int result_ = 0;
    pid_t tid_ = 0;
    std::thread thread_;
};

}  // namespace rr
