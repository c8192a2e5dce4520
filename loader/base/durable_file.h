// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Small files that decide what happens at the next boot: on the disk before they are told of.
#pragma once

#include <string>

#include "base/result.h"

namespace rr {

// The file at @path holds @text and nothing else: after a power cut all of it, or what it
// held before. Its owner alone may read it. A file @path.new is lost.
[[nodiscard]] Status write_durably(const std::string& path, const std::string& text);

// What was made, renamed or removed in the directory stays so.
[[nodiscard]] Status sync_directory(const std::string& path);

}  // namespace rr
