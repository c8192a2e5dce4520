// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Sizes and times as people write them.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace rr {

// Bytes from "64K", "1M", "2G" or a plain number.
[[nodiscard]] Result<uint64_t> parse_bytes(const std::string& text);

// Seconds from "6h", "30m", "90s" or "0".
[[nodiscard]] Result<uint64_t> parse_seconds(const std::string& text);

}  // namespace rr
