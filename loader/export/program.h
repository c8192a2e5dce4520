// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Programs and modules of others that an export needs, and where they come from.
#pragma once

#include <string>

#include "base/result.h"

namespace rr {

// Its path. ENOENT, with the package of Debian that has it.
[[nodiscard]] Result<std::string> find_program(const std::string& name, const std::string& package);

// Loaded, or built in. ENOTSUP: this kernel has none.
[[nodiscard]] Status load_module(const std::string& module);

}  // namespace rr
