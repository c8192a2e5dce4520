// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Block devices that nobody who looks around may open: reading one whose ublk
// server has died hangs until a successor comes, and that may be us, a moment later.
#pragma once

#include "members/scan.h"

namespace rr {

// For scan_options::leave_alone: arrays of ringraid that run or wait for their
// successor, and any ublk device without a living server. As things are now.
[[nodiscard]] leave_alone_rule arrays_and_dead_devices();

}  // namespace rr
