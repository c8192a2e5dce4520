// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Starting a daemon from a command, in the foreground or not.
//
// In the background: the command forks before anything is opened; the child
// starts the array in a session of its own, writes what it says to the log in
// the run directory, and reports through a pipe when the block device is
// there. The command ends with that report. Nothing forks after that.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

#include "cli/commands.h"
#include "service/array_service.h"

namespace rr::cli {

// Options that create and assemble share.
struct start_flags {
    std::string engine = "auto";
    uint32_t queues = 0;
    uint32_t depth = 64;
    uint32_t slots = 64;
    std::string arena = "1G";
    bool foreground = false;
    bool no_zero_copy = false;
    bool passthrough = false;

    void add_to(CLI::App& command);
    [[nodiscard]] Result<service_options> options() const;
};

// Starts and reports; returns the command's exit code. In the foreground it
// returns when the array has stopped.
int start_array(const context& ctx, const service_options& options, bool foreground);

// Recomputes parity before service where the array needs it, with progress on
// standard error; marks the array clean.
Status resync_if_needed(const service_options& options);

}  // namespace rr::cli
