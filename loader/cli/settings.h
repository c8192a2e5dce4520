// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The configuration, as commands use it.
#pragma once

#include <string>
#include <vector>

#include "service/config.h"

namespace rr::cli {

// The machine's, read once; what is wrong in it is said once, on standard error.
const config& machine_config();

// What `set` takes, for who completes it; one that ends in '=' wants a value.
std::vector<std::string> live_setting_words();

}  // namespace rr::cli
