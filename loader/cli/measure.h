// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/prometheus.h"

namespace rr::cli {

// What all arrays that run say of themselves now, or the one that is named. A daemon that
// does not answer within a moment costs only its own numbers.
Result<std::vector<measured_array>> measure_arrays(const std::string& array);

// The file at @path holds @text, whole or as it was, for all to read.
Status replace_file(const std::string& path, const std::string& text);

}  // namespace rr::cli
