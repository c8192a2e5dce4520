// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The thread that makes member failures durable, and answers questions.
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
    // A request line from the control socket and the connection it came on;
    // returns the answer line, or nothing when the connection is taken over.
    using request_handler = std::function<std::optional<std::string>(const std::string&, Fd&)>;

    // The arena and the metadata outlive this object.
    durability(rr_array* array, md::array_metadata* metadata)
        : array_(array), metadata_(metadata) {}
    ~durability() { stop(); }
    durability(const durability&) = delete;
    durability& operator=(const durability&) = delete;

    // Makes the message ring. Its fd is what queues notify.
    Status open();
    [[nodiscard]] int ring_fd() const { return ring_.ring_fd; }
    // Starts the thread. @listener may be empty. @recorded is told, in the
    // thread, when failures have become durable.
    void start(std::vector<int> queue_rings, Fd listener, request_handler handler,
               std::function<void()> recorded);
    void stop();

    // Makes every failure known so far durable, in the caller's thread.
    // Before start() and after stop() only.
    void settle();

private:
    void main();
    void record_failures();
    void wake_queues();
    void drain_messages();
    void serve_client();

    rr_array* array_;
    md::array_metadata* metadata_;
    io_uring ring_{};
    bool ring_ready_ = false;
    Fd event_;
    Fd stop_event_;
    Fd listener_;
    request_handler handler_;
    std::function<void()> recorded_then_;
    std::vector<int> queue_rings_;
    uint32_t recorded_ = 0;  // roles whose failure is durable
    std::thread thread_;
};

}  // namespace rr
