// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Members that are behind a network: how they are reached, as sysfs has it.
//
// An NVMe namespace is of a controller, or, where the kernel makes multipath heads, of a
// subsystem with one controller for each path. A controller tells its transport and what
// the kernel does while its connection is away: I/O waits for fast_io_fail_tmo and then
// fails, or, where that is off, for ctrl_loss_tmo, ten minutes by default, in which the
// whole array waits for one member.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace rr {

struct fabrics_path {
    std::string controller;    // "nvme3"
    std::string transport;     // "tcp"
    std::string address;       // "traddr=10.0.0.1,trsvcid=4420"
    std::string subsystem;     // its NQN
    std::string state;         // "live"
    std::string fast_io_fail;  // seconds, or "off"
    std::string ctrl_loss;     // the same
};

// The paths to the block device with that number; none: it is no NVMe device of a network.
std::vector<fabrics_path> fabrics_paths(dev_t device, const std::string& sysfs = "/sys");
// The same by the kernel's name for it.
std::vector<fabrics_path> fabrics_paths_of(const std::string& name,
                                           const std::string& sysfs = "/sys");

// All that this machine has.
std::vector<fabrics_path> all_fabrics_paths(const std::string& sysfs = "/sys");

// How long I/O waits for a connection that is away, in words: "5 s", "600 s", "for ever".
std::string fabrics_wait(const fabrics_path& path);

// Why an array waits too long for a member behind these paths; empty: it does not.
std::string fabrics_warning(const std::string& device, const std::vector<fabrics_path>& paths);

}  // namespace rr
