// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a member's error means: the member's own affair, or the network's.
//
// Where rr_array.judged is set, an I/O that failed stands in its queue, with its member among
// the suspects, until this has looked at all members (the superblock is read, the suspects'
// first: who answers afterwards was there when they were not):
//
//   all answer         the I/O is issued again; where it fails once more, and all answer once
//                      more, its error is the member's own (the engine knows by `well`)
//   one does not,      it has failed, as ever
//   asked twice
//   more than that     the array waits: nobody has failed, clients pause, and it is looked
//                      again until enough are back, and a moment more for the last ones; or
//                      until its patience is over, and they have failed
//
// The metadata's thread looks between its other work, and so does whatever it writes to
// members: insist() does it again until that is decided.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "ringraid/abi.h"

namespace rr {

class member_judge {
public:
    using clock = std::chrono::steady_clock;
    struct needs {
        std::function<bool(uint32_t index)> answers;
        std::function<bool()> is_ours;  // false: fenced, and nothing is judged any more
        std::function<void(const std::string& event)> tell;
        std::function<void()> wake;   // the queues
        std::function<bool()> pause;  // a moment, before the next look; false: the service ends
        std::function<clock::time_point()> now = clock::now;
        std::chrono::milliseconds patience{60000};  // 0: does not wait
    };
    member_judge(rr_array* array, needs how) : array_(array), how_(std::move(how)) {}

    void look(clock::time_point now);
    [[nodiscard]] std::chrono::milliseconds wait() const;
    // More members are away than the array can bear. From any thread.
    [[nodiscard]] bool waits() const { return waits_; }
    // Mask of those who did not answer when it looked last. From any thread.
    [[nodiscard]] uint32_t away() const { return away_; }
    // The wait is over now, as if the time was. From any thread.
    void hurry() { hurry_ = true; }
    // @write to the member @index until it succeeds, or its error is believed: then that.
    [[nodiscard]] Status insist(uint32_t index, const std::function<Status()>& write);

private:
    [[nodiscard]] bool is_in_use(uint64_t state, uint32_t index) const;
    [[nodiscard]] uint32_t find_away(uint64_t state, uint32_t suspects) const;
    void release(uint64_t seen, bool well);
    void lose(uint32_t who);
    void suspect(uint64_t bit);
    void go_on(uint64_t seen);
    [[nodiscard]] bool is_patient(clock::time_point now) const;
    void begin_wait(clock::time_point now);
    void end_wait(const char* how);

    rr_array* array_;
    needs how_;
    std::atomic<bool> waits_{false}, hurry_{false};
    std::atomic<uint32_t> away_{0};
    clock::time_point since_, enough_since_, next_look_;
};

}  // namespace rr
