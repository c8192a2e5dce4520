// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Lets the superblocks say clean while nobody writes, as md's safe mode does.
//
// A power cut of an array that was idle then costs nothing: no parity is
// recomputed, and one with a member missing starts. bpf/engine/rest.h has the
// handshake with the queues; this is the control plane's half of it.
//
//   awake     dirty. Nothing written for `after`: the queues are asked
//   asked     all of them have agreed: members flushed, superblocks clean.
//             One is busy, a write waits, or a member fails: back to awake
//   resting   clean. A write waits: superblocks dirty, then it starts
//
// An error on any of these ways makes the array dirty and awake again, and is
// treated as it is elsewhere: a member that cannot be flushed or written is out.
// Killed anywhere, the successor makes the superblocks dirty before it serves.
//
// Cost: two rounds of superblock writes for each pause of at least `after`; the
// first write after it waits for one of them, and at worst for the flush before.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>

#include "md/update.h"
#include "ringraid/abi.h"

namespace rr {

class array_rest {
public:
    using clock = std::chrono::steady_clock;

    struct needs {
        std::chrono::milliseconds after{0};    // 0: the array is never at rest
        std::function<void()> wake = [] {};    // sends every queue a message
        std::function<void()> flush = [] {};   // all members; who cannot is failed in the arena
        std::function<void()> record = [] {};  // makes failures durable
    };

    // The arena outlives this object.
    array_rest(rr_array* array, needs how);

    // What is to be done at @now. Failures are recorded, and from one thread only, the
    // one that uses @metadata.
    void look(md::array_metadata& metadata, clock::time_point now);
    // When to look again at the latest.
    [[nodiscard]] std::chrono::milliseconds wait() const;
    // The superblocks are clean. From any thread.
    [[nodiscard]] bool is_clean() const { return clean_.load(); }

private:
    void ask(clock::time_point now);
    void lie_down(md::array_metadata& metadata, clock::time_point now);
    void get_up(md::array_metadata& metadata, clock::time_point now);
    void be_awake(clock::time_point now);
    [[nodiscard]] bool may_rest(const md::array_metadata& metadata) const;
    [[nodiscard]] uint64_t written() const;
    [[nodiscard]] bool some_write_waits() const;
    [[nodiscard]] bool all_agree() const;

    rr_array* array_;
    needs how_;
    uint32_t asked_ = 0;    // the number that the queues are to repeat; 0: awake
    uint32_t numbers_ = 0;  // used so far
    uint64_t written_ = 0;
    clock::time_point since_;  // nothing was written, or it was asked
    std::atomic<bool> clean_{false};
};

}  // namespace rr
