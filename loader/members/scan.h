// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Every device of the machine that carries a superblock, by the name that a
// person or a unit file should use for it.
//
// The rules are mdadm's and the kernel's: hidden and empty devices are not in
// /proc/partitions and not here; of a stack (multipath, crypt, LVM) only the top
// carries members, so a device with holders in sysfs is passed over and the map
// above it is looked at; a whole disk with partitions is looked at like any
// other, for the superblock at its start is its own.
//
// Devices are opened for reading and not exclusively: looking disturbs nobody,
// and least of all who is just about to take one. A read may hang where a ublk
// server has died and its device waits for a successor: @leave_alone names
// devices that are not to be opened.
//
// The name is, of those that exist and lead to the device: the map's in
// /dev/mapper, a link in /dev/disk/by-id that udev knows, the kernel's in /dev.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "md/superblock.h"
#include "members/identity.h"

namespace rr {

struct found_member {
    std::string path;
    dev_t device = 0;
    device_identity identity;
    uint64_t sectors = 0;
    md::md_superblock superblock;
};

// A device that might carry a member and was not looked at, and why.
struct passed_device {
    std::string path;
    Error why;
    // Of what cannot be used, as others are made of it, and is looked at all the same.
    std::optional<md::md_superblock> superblock = {};
};

struct scan_result {
    std::vector<found_member> members;  // by device number
    std::vector<passed_device> passed;  // in the same order; not those without superblock
};

// A reason not to open the device of a kernel name ("ublkb0").
using leave_alone_rule = std::function<std::optional<std::string>(const std::string& name)>;

struct scan_options {
    std::string sysfs = "/sys";
    std::string dev = "/dev";
    std::string udev = "/run/udev/data";
    leave_alone_rule leave_alone;  // asked for what lies below a device, too
    // Which devices to look at, by kernel name; all, where nothing is asked. What
    // lies below one is not asked for: a map is wanted, and its disks are not.
    std::function<bool(const std::string& name)> wanted;
    bool allow_regular_file = false;  // tests
};

[[nodiscard]] scan_result scan_members(const scan_options& options = {});

// Members of a set that are there and cannot be had: something is made of them that
// does not carry the member itself, as a multipath map would. They are not lost.
[[nodiscard]] std::vector<passed_device> held_members(const scan_result& scan,
                                                      const md::uuid& set_uuid);

// Somebody holds the device exclusively, perhaps we. Holds it for a moment
// itself to find out: only for devices that are ours to take.
[[nodiscard]] bool is_held(const std::string& path);

// The members of one set among them.
[[nodiscard]] scan_result find_members(const md::uuid& set_uuid, const scan_options& options = {});

// The name to use for a device whose kernel name is @name.
[[nodiscard]] std::string device_name(const std::string& name, dev_t device,
                                      const scan_options& options = {});

}  // namespace rr
