// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An export by the kernel's NVMe target, over TCP.
//
//   subsystems/NQN                    ours
//   subsystems/NQN/namespaces/1       the block device; it is held open while enabled
//   subsystems/NQN/allowed_hosts/H    links to hosts/H, which are made where they are not
//   ports/N                           an address; one that is there with the same is used
//   ports/N/subsystems/NQN            the link by which it listens
//
// The namespace has the array's uuid, so a client finds the same disk behind another
// gateway. Ports that we make are numbered from port_base, and the last export of one
// takes it away; ports of others are left alone.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "export/spec.h"

namespace rr::nvmet {

[[nodiscard]] Status check();
// Those of spec.hosts that hosts/ does not have: begin() makes them, end() takes them away.
[[nodiscard]] std::vector<std::string> new_hosts(const export_spec& spec);
// All of it, or nothing.
[[nodiscard]] Status begin(const export_spec& spec, const std::string& block_device);
// Also of what was begun and not finished.
[[nodiscard]] Status end(const export_spec& spec, const std::string& block_device,
                         const std::vector<std::string>& hosts);
// Subsystems that show this device, whoever made them, are no longer offered: what their
// clients wait for is not answered any more, and they look for it elsewhere. Not those that
// show something else besides.
void withdraw(const std::string& block_device);
// The device is enabled, and somebody listens.
[[nodiscard]] bool serves(const export_spec& spec, const std::string& block_device);

}  // namespace rr::nvmet
