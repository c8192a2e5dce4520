// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The service manager that started this process, and what it is told.
//
// The protocol is that of sd_notify(3): a datagram of assignments to the socket that
// NOTIFY_SOCKET names. It is small, stable and documented for programs without
// libsystemd, and a daemon of a block device links as little as it can.
//
//   status()   what it is doing; while it starts, also: give it more time
//   ready()    the block device is there
//   alive()    the watchdog's mark, where WATCHDOG_USEC asks for one
//   main_is()  another process of the unit is it from now on; the unit has NotifyAccess=all
//   stopping() it ends
//
// Without a manager nothing is said. What cannot be said is lost: an array does not
// stop for it. The environment is read once, before leave_caller() forgets it; the
// socket is opened for each message, as the daemon keeps no descriptor of its caller.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace rr {

class service_manager {
public:
    // Nobody.
    service_manager() = default;
    [[nodiscard]] static service_manager of_environment();

    explicit operator bool() const { return !socket_.empty(); }

    void status(const std::string& text);
    void ready();
    void alive();
    void main_is(pid_t pid);
    void stopping();

    // What such a process needs in its environment to speak to the same manager.
    [[nodiscard]] std::vector<std::string> environment() const;
    // It does, and the unit is ready since long.
    void continues() { ready_ = true; }

private:
    bool send(const std::string& assignments) const;

    std::string socket_;
    std::string said_;
    bool ready_ = false;
    std::chrono::microseconds watchdog_{0};  // 0: there is none
    std::chrono::steady_clock::time_point next_mark_;
};

}  // namespace rr
