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
// What a member's error means is looked at first, where that is asked for (judge.h).
//
// It also lets the superblocks say clean while nobody writes (rest.h), grants what writes
// ask of the bitmap (bitmap.h), and records how far jobs are (jobs.h): one thread writes
// superblocks, so nobody meets another halfway.
//
// Who asked for a failure by hand waits for the same moment: start()'s callback.
//
// Where the members are reserved it asks whose they are, once a second and before a failure
// is recorded: a host that was fenced gets errors from every member, and nobody has failed.
// The array is broken then, and no superblock is written any more.
//
// It never issues START, STOP or DEL, which wait for clients whose writes may
// wait for this thread.
#pragma once

#include <liburing.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "md/update.h"
#include "ringraid/abi.h"
#include "service/bitmap.h"
#include "service/jobs.h"
#include "service/judge.h"
#include "service/rest.h"

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
    struct orders {
        std::vector<int> queue_rings;
        std::function<void()> recorded;            // told when failures have become durable
        std::chrono::milliseconds clean_after{0};  // without a write; 0: never
        std::function<void()> flush;               // the members, see array_rest
        std::function<bool()> is_ours;             // false: another host has the members
        member_judge::needs judge;                 // where errors are judged; but for `wake`
        array_bitmap* bitmap = nullptr;            // it outlives the thread
        array_jobs::needs jobs;                    // but for `wake`
    };
    // Starts the thread, in which the functions are called.
    void start(orders how);
    void stop();
    // Makes the thread look at once, from any thread.
    void look();
    // Sends every queue a message. From the thread, or while it does not run.
    void wake_queues();

    // @f in this thread, which has the metadata to itself; returns when it has run.
    // Between start() and stop(), not from this thread.
    void run(const std::function<void()>& f);
    // Between start() and stop(), from any thread; later nothing is there.
    [[nodiscard]] array_jobs* jobs() { return jobs_ ? &*jobs_ : nullptr; }
    // From the thread: another bitmap from here on, or none.
    void use_bitmap(array_bitmap* bitmap);
    // How far a rebuild came, after stop().
    void close_jobs();
    // As of member_judge, from the thread; @write once where nothing is judged, as after stop().
    [[nodiscard]] Status insist(uint32_t index, const std::function<Status()>& write);
    // Null where nothing is judged. Between start() and stop(), from any thread.
    [[nodiscard]] member_judge* judge() { return judge_ ? &*judge_ : nullptr; }

    // Makes every failure known so far durable, in the caller's thread.
    // Before start() and after stop() only.
    void settle();

    // The superblocks say clean. From any thread.
    [[nodiscard]] bool is_clean() const { return rest_ && rest_->is_clean(); }

private:
    void main();
    void record_failures();
    bool may_write();
    void look_at_fence();
    void end_lost_replacement();
    void drain_messages();
    bool pause();
    void run_asked();
    [[nodiscard]] std::chrono::milliseconds wait() const;

    rr_array* array_;
    md::array_metadata* metadata_ = nullptr;
    io_uring ring_{};
    bool ring_ready_ = false;
    Fd event_;
    Fd stop_event_;
    orders how_;
    std::atomic<bool> fenced_{false};
    std::chrono::steady_clock::time_point asked_whose_;
    std::optional<array_rest> rest_;
    std::optional<array_jobs> jobs_;
    std::optional<member_judge> judge_;
    std::mutex asked_lock_;
    std::condition_variable asked_done_;
    const std::function<void()>* asked_ = nullptr;
    std::thread thread_;
};

}  // namespace rr
