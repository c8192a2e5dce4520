// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// status, stats, fail and stop: questions and orders to a daemon that runs.
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/process.h"
#include "base/run_program.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/measure.h"
#include "cli/status_text.h"
#include "export/exports.h"
#include "members/spelling.h"
#include "service/array_service.h"
#include "service/latency.h"
#include "service/report.h"
#include "service/socket.h"
#include "ublk/device.h"
#include "ublk/offline_guard.h"

namespace rr::cli {
namespace {

constexpr int ask_timeout_ms = 10000;
constexpr int stop_timeout_ms = 120000;
constexpr std::chrono::seconds settle_time(10);

int health_code(const std::string& state) {
    for (array_health h : {array_health::healthy, array_health::degraded, array_health::failed}) {
        if (state == to_string(h))
            return static_cast<int>(h);
    }
    return static_cast<int>(array_health::unknown);
}

Result<nlohmann::json> ask_status(const std::string& array) {
    return ask_array(array, {{"command", "status"}}, ask_timeout_ms);
}

int unknown(const context& ctx, const Error& why) {
    print_error(ctx, why);
    return static_cast<int>(array_health::unknown);
}

int show_status(const context& ctx, const std::string& array) {
    auto answer = ask_status(array);
    if (!answer)
        return unknown(ctx, answer.error());
    if (ctx.json) {
        print_json(*answer);
    } else {
        const std::string text = status_text(*answer, style_of_output());
        std::fwrite(text.data(), 1, text.size(), stdout);
    }
    return health_code(answer->value("state", ""));
}

int show_counters(const context& ctx, const std::string& array) {
    auto answer = ask_status(array);
    if (!answer)
        return unknown(ctx, answer.error());
    if (!answer->contains("counters"))
        return unknown(ctx,
                       Error{EAGAIN, "it is " + answer->value("state", ""), "ringraid status"});
    nlohmann::json shown = (*answer)["counters"];
    if (ctx.json) {
        if (answer->contains("latency"))
            shown["latency"] = (*answer)["latency"];
        shown["schema"] = json_schema;
        print_json(shown);
        return 0;
    }
    for (const auto& [name, value] : shown.items())
        print_line(stdout, "{:>16} : {}", name, value.get<uint64_t>());
    const std::string times = latency_text(histograms_of(*answer));
    std::fwrite(times.data(), 1, times.size(), stdout);
    return 0;
}

// Arrays that do not answer are in it, as such: no error.
int show_prometheus(const context& ctx, const std::string& array, const std::string& file) {
    auto all = measure_arrays(array);
    if (!all)
        return print_error(ctx, all.error());
    const std::string text = prometheus_text(*all);
    if (file.empty())
        return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() ? 0 : 1;
    if (Status ok = replace_file(file, text); !ok)
        return print_error(ctx, ok.error());
    return 0;
}

CLI::App* add_question(CLI::App& app, const char* name, const char* text,
                       const std::shared_ptr<std::string>& array) {
    CLI::App* command = app.add_subcommand(name, text);
    command->add_option("array", *array, "name, uuid or block device (default: the only one)");
    return command;
}

}  // namespace

void add_status(CLI::App& app, context& ctx) {
    auto array = std::make_shared<std::string>();
    add_question(app, "status", "state of a running array (exit code as mdadm --detail)", array)
        ->callback([array, &ctx] { ctx.run = [array, &ctx] { return show_status(ctx, *array); }; });
}

void add_stats(CLI::App& app, context& ctx) {
    auto array = std::make_shared<std::string>();
    auto file = std::make_shared<std::string>();
    auto prometheus = std::make_shared<bool>(false);
    CLI::App* command = add_question(app, "stats", "counters of a running array", array);
    command->add_flag("--prometheus", *prometheus,
                      "for node_exporter's textfile collector, of all arrays");
    command->add_option("--output", *file, "the file that is replaced by that")
        ->needs(command->get_option("--prometheus"));
    command->callback([array, file, prometheus, &ctx] {
        ctx.run = [array, file, prometheus, &ctx] {
            return *prometheus ? show_prometheus(ctx, *array, *file) : show_counters(ctx, *array);
        };
    });
}

void add_fail(CLI::App& app, context& ctx) {
    auto array = std::make_shared<std::string>();
    auto member = std::make_shared<std::string>();
    CLI::App* command = app.add_subcommand("fail", "take a member out of use");
    command->add_option("array", *array, "name, uuid or block device")->required();
    command->add_option("member", *member, "device path or role")->required();
    command->callback([array, member, &ctx] {
        ctx.run = [array, member, &ctx] {
            auto answer = ask_array(
                *array, {{"command", "fail"}, {"member", spell_device(*member)}}, ask_timeout_ms);
            if (!answer)
                return print_error(ctx, answer.error());
            if (ctx.json)
                print_json(*answer);
            else
                print_line(stdout, "{} is out of {}", *member, *array);
            return 0;
        };
    });
}

// The last resort for an array whose daemon is dead and that nobody takes over.
int drop(const context& ctx, const std::string& array, const last_orders& how) {
    auto state = find_running(array);
    // A uuid is enough where nothing else is left of it.
    auto set_uuid = md::parse_uuid(state ? state->value("uuid", "") : array);
    if (!state && !set_uuid)
        return print_error(ctx, state.error());
    // The arena is mapped, and that is much memory.
    if (Status ok = raise_limits(); !ok)
        return print_error(ctx, ok.error());
    const offline_guard guard;
    if (Status ok = guard.try_ring(); !ok)
        return print_error(ctx, ok.error());
    auto ended = set_uuid ? end_dead_array(*set_uuid, how) : forward_error(set_uuid.error());
    if (!ended)
        return print_error(ctx, ended.error());
    if (ctx.json)
        print_json({{"schema", json_schema}, {"ok", true}, {"dropped", true}, {"what", *ended}});
    else
        print_line(stdout, "{}", *ended);
    return 0;
}

// Of an array that runs.
std::vector<std::string> exports_of_array(const std::string& array) {
    auto state = find_running(array);
    return state ? exports_of(state->value("block_device", "")) : std::vector<std::string>();
}

Status end_exports(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
        if (Status ok = end_export(name, true); !ok)
            return ok;
    }
    return {};
}

// Who has it open, where that is known.
Error named(Error error, const std::vector<std::string>& names) {
    if (error.err != EBUSY || names.empty())
        return error;
    error.what += fmt::format(", exported as {}", fmt::join(names, ", "));
    error.hint = fmt::format("ringraid unexport {}", names[0]);
    return error;
}

int stop(const context& ctx, const std::string& array, bool force, const last_orders& how) {
    const std::vector<std::string> names = exports_of_array(array);
    // Forced, they go first: clients see an end, not errors. Where the daemon is dead they
    // wait for answers, and end when there is no device any more.
    const bool first = force && !names.empty() && ask_status(array).has_value();
    Status ended = first ? end_exports(names) : Status();
    if (!ended)
        return print_error(ctx, ended.error());
    const nlohmann::json order = {{"command", "stop"}, {"force", force}};
    auto answer = ask_array(array, order, stop_timeout_ms);
    // Of a device that is new or has just been closed the user may be udev.
    if (!answer && answer.error().err == EBUSY && names.empty()) {
        (void)run_program({"/usr/bin/udevadm", "settle", "--timeout=5"}, "", settle_time);
        answer = ask_array(array, order, stop_timeout_ms);
    }
    const int err = answer ? 0 : answer.error().err;
    if (force && (err == EOWNERDEAD || (err == ENOENT && md::parse_uuid(array)))) {
        const int code = drop(ctx, array, how);
        ended = code == 0 ? end_exports(names) : Status();
        return ended ? code : print_error(ctx, ended.error());
    }
    if (!answer)
        return print_error(ctx, named(answer.error(), names));
    if (ctx.json)
        print_json(*answer);
    else
        print_line(stdout, "stopped");
    return 0;
}

void add_stop(CLI::App& app, context& ctx) {
    auto array = std::make_shared<std::string>();
    auto force = std::make_shared<bool>(false);
    auto how = std::make_shared<last_orders>();
    CLI::App* command = app.add_subcommand("stop", "stop serving an array, cleanly");
    command->add_option("array", *array, "name, uuid or block device (default: the only one)");
    command->add_flag("--force", *force,
                      "also while the block device is in use, or its daemon is dead");
    CLI::Option* dead = command->get_option("--force");
    command
        ->add_flag("--degraded", how->degraded,
                   "of a dead daemon's array: also without a member, which is "
                   "then out of it")
        ->needs(dead);
    command
        ->add_flag("--give-up", how->give_up,
                   "of a dead daemon's array: although its members cannot be "
                   "made clean now")
        ->needs(dead);
    command->callback([array, force, how, &ctx] {
        ctx.run = [array, force, how, &ctx] { return stop(ctx, *array, *force, *how); };
    });
}

// Not for people: see ublk_device::stop_apart(). The exit code is an errno.
void add_ublk_stop(CLI::App& app, context& ctx) {
    auto number = std::make_shared<uint32_t>(0);
    auto mark = std::make_shared<uint64_t>(0);
    auto unless_used = std::make_shared<bool>(false);
    CLI::App* command = app.add_subcommand("ublk-stop", "")->group("");
    command->add_option("number", *number)->required();
    command->add_option("mark", *mark)->required();
    command->add_flag("--unless-used", *unless_used);
    command->callback([number, mark, unless_used, &ctx] {
        ctx.run = [number, mark, unless_used] {
            auto device = ublk_device::adopt_marked(*mark, *number);
            if (!device)
                return device.error().err;
            Status stopped = *unless_used ? device->stop_unless_used() : device->stop();
            return stopped ? 0 : stopped.error().err;
        };
    });
}

}  // namespace rr::cli
