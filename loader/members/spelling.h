// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Which member a person means, whatever way it is written: a link, a relative path,
// a name in /dev/disk/by-id, the kernel's name with or without /dev/, or MAJOR:MINOR.
//
// Two halves, because the daemon has another directory than the person and may have
// another /dev. The command turns what was typed into what leads to the device
// anywhere: its number, where it exists, and an absolute path:
//
//   "259:3 /dev/disk/by-id/nvme-ACME_1"    "/dev/sdc" where that is gone
//
// The daemon looks for the device of that number, then for the disk with its
// identity (a disk that was reconnected has another number). A path alone means
// something only where the member is gone: the name of a disk that is there may be
// another disk's now.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "members/member.h"

namespace rr {

// What the daemon is told for @typed: for numbers ("2", "8:16") the same.
[[nodiscard]] std::string spell_device(const std::string& typed);

// The index of the device that @spelled means; absent ones (nullptr) are none.
[[nodiscard]] std::optional<size_t> find_device(const std::vector<const member_device*>& devices,
                                                const std::string& spelled,
                                                const std::string& sysfs = "/sys");

// @path from the root, links as they are; an absolute one stays the same.
[[nodiscard]] std::string absolute_path(const std::string& path);

}  // namespace rr
