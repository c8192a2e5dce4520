// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An export by qemu-storage-daemon: NBD, vhost-user, VDUSE and FUSE. One process an export,
// so that the end of one is no other's.
//
// It opens the block device as any program does and is told everything on its command
// line, as JSON: no value can become an option. With --daemonize it returns when clients
// may connect, and has said what is wrong if they may not. It is known by its number and
// start time.
//
// A device of VDUSE is on the vDPA bus only when it is added there (vdpa of iproute2), and
// must be off it before its process ends: a driver that waits for a process that is gone
// waits for ever.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "export/spec.h"

namespace rr::storage_daemon {

struct process {
    int pid = 0;
    uint64_t started = 0;
};

// Program, modules and paths, before anything is made.
[[nodiscard]] Status check(const export_spec& spec);
// All of it, or nothing. @pid_file holds the number, also if this is interrupted.
[[nodiscard]] Result<process> begin(const export_spec& spec, const std::string& block_device,
                                    const std::string& pid_file);
// Ends the process in peace, or with @force; ETIMEDOUT: it still waits for the array.
[[nodiscard]] Status end(const export_spec& spec, const process& of, bool force);
[[nodiscard]] bool is_alive(const process& of);
// Of a process whose begin() was interrupted; pid 0: there is none.
[[nodiscard]] process of_pid_file(const std::string& pid_file);

}  // namespace rr::storage_daemon
