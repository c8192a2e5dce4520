// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a process that serves an array takes from its caller, and what not.
//
// A daemon outlives whoever started it, and what it inherits decides over
// data: a member that is opened as descriptor 2 gets every message written
// into its superblock; a descriptor, a directory or a limit of the caller stays
// with an array for months. So, in this order:
//   occupy_stdio()     main's first line, of every command;
//   raise_limits()     before anything is written: what cannot be had ends a
//   spare_from_oom()   command while the disks are as they were. The child that
//                      serves inherits both;
//   leave_caller()     in the process that serves, before it opens anything.
// All of it holds for one process and its children, and costs nothing later.
// What stays as the caller had it: user, capabilities, namespaces, control
// group, scheduling, the CPUs that it may run on, and RLIMIT_CORE.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace rr {

// Descriptors 0 to 2 are open afterwards, so that nothing else gets their
// numbers: /dev/null where they were closed, for reading as 0, for writing as 1
// and 2. False: not even that could be opened; nothing is safe to do then.
[[nodiscard]] bool occupy_stdio();

// Descriptors as many as an array of the largest size needs; no bounds on locked
// memory, address space, file size and CPU time. (That of threads is not root's.)
[[nodiscard]] Status raise_limits();

// The OOM killer passes this process over: its death frees little and stops
// every client of the array. Read back, not assumed.
[[nodiscard]] Status spare_from_oom();

// From here on nothing of the caller is held: the root directory, umask 077, no
// descriptor above 2 but @keep, a PATH and LC_ALL of our own for environment
// (/proc/PID/environ shows none), and the program's name as the process's.
[[nodiscard]] Status leave_caller(std::span<const int> keep);

// The paths as they are understood from the current directory, before
// leave_caller(); links stay links.
[[nodiscard]] std::vector<std::string> absolute_paths(const std::vector<std::string>& paths);

// When the process was started, in the kernel's ticks: with its number, this is one
// process and no other. 0: there is none, or it is about to end.
[[nodiscard]] uint64_t started_at(int pid);

// The kernel's word for the time since the machine was started; no other time has it.
[[nodiscard]] std::string boot_id();

}  // namespace rr
