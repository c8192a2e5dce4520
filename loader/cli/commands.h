// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The commands of `ringraid`: each adds its options to the parser and runs.
//
// A command prints what it has to say and returns the exit code: mdadm's for
// commands that look at an array (0 healthy, 1 degraded, 2 failed, 4 unknown),
// 0 or 1 for the others. Errors end in print_error(): a sentence with the
// errno's text, then a hint on what to do.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <string>

#include "base/result.h"
#include "base/service_manager.h"
#include "base/size.h"
#include "md/superblock.h"

namespace rr::cli {

struct context {
    bool json = false;
    mutable service_manager manager;
    std::function<int()> run;  // set by the command that was chosen
};

void add_create(CLI::App& app, context& ctx);
void add_assemble(CLI::App& app, context& ctx);
void add_stop(CLI::App& app, context& ctx);
void add_fail(CLI::App& app, context& ctx);
void add_ublk_stop(CLI::App& app, context& ctx);
void add_status(CLI::App& app, context& ctx);
void add_stats(CLI::App& app, context& ctx);
void add_examine(CLI::App& app, context& ctx);
void add_fence_clear(CLI::App& app, context& ctx);
void add_features(CLI::App& app, context& ctx);
void add_add(CLI::App& app, context& ctx);
void add_remove(CLI::App& app, context& ctx);
void add_replace(CLI::App& app, context& ctx);
void add_jobs(CLI::App& app, context& ctx);
void add_events(CLI::App& app, context& ctx);
void add_upgrade(CLI::App& app, context& ctx);
void add_handover(CLI::App& app, context& ctx);
void add_release(CLI::App& app, context& ctx);
void add_store(CLI::App& app, context& ctx);
void add_config(CLI::App& app, context& ctx);
void add_monitor(CLI::App& app, context& ctx);
void add_top(CLI::App& app, context& ctx);
void add_exports(CLI::App& app, context& ctx);
void add_completion(CLI::App& app, context& ctx);

// Help of one screen: a line for each option, and the example that is the footer.
void use_short_help(CLI::App& app);

// Prints the error, as JSON where asked, and returns 1.
int print_error(const context& ctx, const Error& error);

void print_json(const nlohmann::json& value);

// "1.5 GiB"; exact bytes below 1 KiB.
std::string human_bytes(uint64_t bytes);

// How much of a member a bit of the bitmap stands for: one sector at least, and whole ones.
Result<uint64_t> parse_bitmap_chunk(const std::string& text);

// Of a new array (docs/decisions/0036).
inline constexpr md::consistency default_consistency = md::consistency::ppl;
// The refusal of @word, which is asked for twice.
tl::unexpected<Error> resync_said_once(const std::string& word);

// What changes between two versions of a store's keys, as diff_json() has it.
void print_changes(const nlohmann::json& keys);

// The state file of the array named so: by name, uuid or block device. With
// an empty name the only one that runs. ENOENT: none; EINVAL: several.
Result<nlohmann::json> find_running(const std::string& array);

// The answer of that array's daemon. EOWNERDEAD when it is dead; else the
// error that it answered with.
Result<nlohmann::json> ask_array(const std::string& array, const nlohmann::json& request,
                                 int timeout_ms);

// For what a daemon answers at once.
inline constexpr int ask_timeout_ms = 10000;
Result<nlohmann::json> ask_status(const std::string& array);

}  // namespace rr::cli
