// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Where systemd runs and the package is installed, a daemon belongs into its unit: one
// that a command forks lives in the caller's control group and ends with it, whoever
// waits for its device.
//
// So `create` writes the superblocks, and `assemble` finds out which array is meant;
// then both start ringraid@UUID.service and wait for it. How it is to be served is
// handed on as words of a command line: those that hold from now on in the array's
// file (ownership.h), those of this start in a file in /run that the unit reads and
// the command removes.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

#include "base/result.h"
#include "cli/commands.h"
#include "md/superblock.h"

namespace rr::cli {

// systemd is the init, and has our unit.
[[nodiscard]] bool units_serve();

// Starts the unit and waits until the array is served. @once: words of this start.
[[nodiscard]] Status start_unit(const md::uuid& id, const std::string& once);

void add_udev(CLI::App& app, context& ctx);

}  // namespace rr::cli
