// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Running somebody else's program, and not waiting for it for ever.
//
// It leads a process group of its own, which is killed when the time is over; it has
// /dev/null or a text as standard input, our standard output and error, a PATH and a
// locale of our own, and no other descriptor or signal setting of ours.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"

namespace rr {

// @words: its path from the root, and its arguments. EPROTO: it ended, but not with 0.
// ETIMEDOUT: it was killed.
[[nodiscard]] Status run_program(const std::vector<std::string>& words, const std::string& input,
                                 std::chrono::milliseconds most);

}  // namespace rr
