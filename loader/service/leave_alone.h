// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Block devices that nobody who looks around may open: reading one whose ublk
// server has died hangs until a successor comes, and that may be us, a moment later.
#pragma once

#include "members/scan.h"

namespace rr {

// For scan_options::leave_alone: any ublk device without a living server, as
// things are now, and disks that show an export of such a device (export/clients.h).
[[nodiscard]] leave_alone_rule dead_devices();

// These, and arrays of ringraid that run or wait for their successor: what is
// on them is their clients'.
[[nodiscard]] leave_alone_rule arrays_and_dead_devices();

}  // namespace rr
