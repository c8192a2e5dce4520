// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A thread that writes small files on behalf of threads that may not wait.
//
// The daemon's threads are what clients wait for. A file in /run may find no room, and
// one in /var may lie on a disk that hangs, or on this very array, whose next write may
// wait for the thread that wrote. So what is not worth a client's time is handed over
// here: post() never waits, and where too much is waiting already it is dropped.
//
// The end waits for what was posted, but not for ever: a write that hangs keeps its
// thread, which the end of the process takes along.
#pragma once

#include <functional>
#include <memory>

namespace rr {

class scribe {
public:
    scribe();
    ~scribe();
    scribe(const scribe&) = delete;
    scribe& operator=(const scribe&) = delete;

    // From any thread. @write owns all that it uses. False: dropped.
    bool post(std::function<void()> write);

private:
    struct shared;
    static void main(const std::shared_ptr<shared>& of);

    std::shared_ptr<shared> of_;
};

}  // namespace rr
