// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// status, stats and fail: questions and orders to a daemon that runs.
#include <cerrno>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/measure.h"
#include "cli/status_text.h"
#include "members/spelling.h"
#include "service/array_service.h"
#include "service/latency.h"
#include "service/report.h"
#include "service/socket.h"

namespace rr::cli {
namespace {

int health_code(const std::string& state) {
    for (array_health h : {array_health::healthy, array_health::degraded, array_health::failed}) {
        if (state == to_string(h))
            return static_cast<int>(h);
    }
    return static_cast<int>(array_health::unknown);
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

}  // namespace rr::cli
