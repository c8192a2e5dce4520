// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The thread that makes member failures durable.
//
// A failure is state in the arena (rr_array.state), put there by whichever
// queue met it or by `ringraid fail`. This thread sees that the epoch has
// moved on, writes the failure into the survivors' superblocks, and only then
// stores durable_epoch and wakes the queues, which have held their
// acknowledgements back until now. The queues' message only makes it look
// sooner: it looks by itself every second, so no message that is lost can
// strand a client.
//
// A survivor whose superblock cannot be written is a second failure: the array
// breaks, and held writes are answered with an error.
//
// Who asked for a failure by hand waits for the same moment: start()'s callback.
//
// It never issues START, STOP or DEL, which wait for clients whose writes may
// wait for this thread.
#pragma once

#include <liburing.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "md/update.h"
#include "ringraid/abi.h"

namespace rr {

class durability {
public:
    // The arena outlives this object.
    explicit durability(rr_array* array) : array_(array) {}
    ~durability() { stop(); }
    durability(const durability&) = delete;
    durability& operator=(const durability&) = delete;

    // Makes the message ring. Its fd is what queues notify.
    Status open();
    [[nodiscard]] int ring_fd() const { return ring_.ring_fd; }
    // Where failures are recorded; it outlives this object. Before all that follows.
    void record_with(md::array_metadata* metadata) { metadata_ = metadata; }
    // Starts the thread. @recorded is told, in the thread, when failures have become
    // durable.
    void start(std::vector<int> queue_rings, std::function<void()> recorded);
    void stop();
    // Makes the thread look at once, from any thread.
    void look();

    // Makes every failure known so far durable, in the caller's thread.
    // Before start() and after stop() only.
    void settle();

private:
    void main();
    void record_failures();
    void wake_queues();
    void drain_messages();

    rr_array* array_;
    md::array_metadata* metadata_ = nullptr;
    io_uring ring_{};
    bool ring_ready_ = false;
    Fd event_;
    Fd stop_event_;
    std::function<void()> recorded_then_;
    std::vector<int> queue_rings_;
    uint32_t recorded_ = 0;  // roles whose failure is durable
    std::thread thread_;
};

}  // namespace rr
