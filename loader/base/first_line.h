// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The first line of a file: what sysfs and procfs have in one.
#pragma once

#include <filesystem>
#include <string>

namespace rr {

// Without its end. "" for a file that is not there, too.
[[nodiscard]] std::string first_line(const std::filesystem::path& path);

}  // namespace rr
