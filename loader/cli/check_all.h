// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#pragma once

#include <string>

#include "cli/commands.h"

namespace rr::cli {

// Checks all arrays for @time ("6h"; empty: as configured); @only_paused: goes on with
// those that were paused. 1: something was found, or could not be asked.
int check_all(const context& ctx, const std::string& time, bool only_paused);

}  // namespace rr::cli
