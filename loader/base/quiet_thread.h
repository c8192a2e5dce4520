// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A thread that no signal interrupts: all are blocked in it from its first instruction on.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <thread>
#include <utility>

namespace rr {

template <typename F>
[[nodiscard]] std::thread quiet_thread(F main) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread thread(std::move(main));
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return thread;
}

}  // namespace rr
