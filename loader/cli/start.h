// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Starting a daemon from a command, in the foreground or not.
//
// In the background: the command forks before anything is opened; the child
// does all the work in a session of its own, parity included, and tells through a
// pipe what it is doing, as JSON lines; the last one is the report that the block
// device is there, or the error. The command prints them and ends with the last.
// From then on the child writes what it says to the log in the run directory.
// Nothing forks after that. A command that is interrupted takes the pipe with it: a
// child that is still at work notices with its next line, and ends the start.
//
// Where systemd has our unit the daemon is started by it (unit.h).
#pragma once

#include <CLI/CLI.hpp>

#include <string>

#include "cli/commands.h"
#include "service/array_service.h"

namespace rr::cli {

// Options that create and assemble share.
struct start_flags {
    // Those that may be in the configuration: given, or empty.
    std::string engine, queues, depth, slots, arena, clean_after, sync_min, sync_max, reserve,
        no_path_timeout;
    bool foreground = false;
    bool no_unit = false;
    bool wait = false;
    bool no_zero_copy = false;
    bool no_affinity = false;
    bool passthrough = false;

    void add_to(CLI::App& command);
    // What is given here; the rest by the configuration of the array that is called so,
    // which may be unknown yet.
    [[nodiscard]] Result<service_options> options(const std::string& name = "",
                                                  const std::string& uuid = "") const;
    // What is given here, for another command line. The configuration is read there, too.
    [[nodiscard]] std::string words() const;
    // by_unit where the daemon is not asked for here.
    [[nodiscard]] struct start_words words_for_unit() const;
};

// A start for the command line of a unit.
struct start_words {
    bool by_unit = false;
    std::string kept = {};  // hold for starts to come, too
    std::string once = {};
};

// The unit does not start it again: another host serves, and a person or a cluster decides.
inline constexpr int exit_fenced = 76;

// Starts and reports; returns the command's exit code. In the foreground it
// returns when the array has stopped; exit_fenced where another host has the members.
int start_array(const context& ctx, const service_options& options, const start_words& words = {});

// A daemon that is to take the array of @options.old, and then serves.
int serve_successor(const context& ctx, service_options options);

}  // namespace rr::cli
