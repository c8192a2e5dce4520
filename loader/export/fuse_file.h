// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The file over which a FUSE export is mounted: empty, ours, and gone with the export.
#pragma once

#include <string>

#include "base/result.h"

namespace rr::fuse_file {

[[nodiscard]] Status check();
[[nodiscard]] Status make(const std::string& path);
// With what is still mounted there, if its process died.
void remove(const std::string& path);

}  // namespace rr::fuse_file
