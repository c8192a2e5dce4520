// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A CPU that goes offline while nobody serves must not lock the successor out.
//
// The last CPU of a hardware queue goes offline when that queue's requests have
// ended (blk_mq_hctx_notify_offline()), and the kernel waits for that with the
// lock of CPU hotplug taken, unkillable. The requests of a dead daemon wait for
// a successor. The successor needs a ring, the first ring of a task needs a
// worker pool, and that needs the same lock (io_wq_create()): neither goes on,
// and with them everybody else on the machine who makes a first ring.
//
// The kernel's loop looks for one thing meanwhile: a wakeup event of the system
// (it serves suspend, too), and then the CPU stays online, with -EBUSY for who
// wanted it off. User space can make one: arm /sys/power/wakeup_count, then hold
// an event with EPOLLWAKEUP. So a helper process does that from a second after
// the takeover began until it ended: too late for a takeover that goes well, in
// time for one that hangs. A CPU without waiting requests goes offline as ever.
//
// Limits: the kernel needs CONFIG_PM_SLEEP (Debian's has it, the cloud flavour,
// too). A suspend in these seconds is called off, and a power manager that had
// armed wakeup_count itself must arm it again. Where there is no such file, nothing
// but a restart of the machine ends it: try_ring() says so instead of hanging, if
// the CPU went before the command was given.
#pragma once

#include <sys/types.h>

#include <chrono>

#include "base/result.h"

namespace rr {

class offline_guard {
public:
    // Forks the helper: before threads, rings and locked memory.
    offline_guard();
    ~offline_guard();
    offline_guard(const offline_guard&) = delete;
    offline_guard& operator=(const offline_guard&) = delete;

    // ETIMEDOUT: whoever makes a first ring now hangs in the kernel. A child finds
    // out; it may outlive the command.
    [[nodiscard]] Status try_ring() const;

private:
    pid_t helper_ = -1;
    std::chrono::steady_clock::time_point begun_;
};

}  // namespace rr
