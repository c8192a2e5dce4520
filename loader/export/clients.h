// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Disks of this machine that are exports of this machine: a client beside its server, as
// VDUSE has it by design. Their reads wait for the array, and nothing in sysfs ties the
// two together as it does a map and what it is made of; who looks for members while the
// array's daemon is dead would wait for himself.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "export/spec.h"

namespace rr {

// The name of the export that the disk with this kernel name shows. Of NBD the kernel knows
// only that it is a disk of NBD: while one is exported, each of them may be it; so may it
// while vhost-user or vhost_vdpa are, of which programs as nbdkit make NBD.
[[nodiscard]] std::optional<std::string> export_shown_by(const std::string& kernel_name,
                                                         const std::vector<export_spec>& exports,
                                                         const std::string& sysfs = "/sys");

}  // namespace rr
