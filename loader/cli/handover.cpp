// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// ringraid handover ARRAY: another daemon serves a running array, of this program. And the
// command that the old daemon starts for that: see service/handover.h.
#include <array>
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/process.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/start.h"
#include "service/array_service.h"
#include "service/report.h"
#include "ublk/offline_guard.h"

namespace rr::cli {
namespace {

// Until the daemon says that it takes longer, which it does at once.
constexpr int answer_ms = 10 * 1000;

int handover(const context& ctx, const std::string& array) {
    std::error_code failed;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", failed);
    if (failed)
        return print_error(ctx, Error{failed.value(), "cannot tell which program this is", ""});
    auto answer =
        ask_array(array, {{"command", "handover"}, {"program", program.string()}}, answer_ms);
    if (!answer && answer.error().err == EINVAL && answer.error().what == "no such command")
        return print_error(
            ctx, Error{ENOTSUP, "the daemon that serves is of a version that cannot hand over",
                       "kill -9 it: the next one takes over, its clients wait a little longer"});
    if (!answer)
        return print_error(ctx, answer.error());
    if (ctx.json) {
        print_json(*answer);
        return 0;
    }
    auto ms = [&answer](const char* key) {
        return static_cast<double>(answer->value(key, uint64_t{0})) / 1e6;
    };
    print_line(stdout,
               "handed over from pid {} to {} in {:.1f} s; requests waited {:.1f} ms of these",
               answer->value("from_pid", 0), answer->value("pid", 0),
               (ms("prepare_ns") + ms("pause_ns")) / 1e3, ms("pause_ns"));
    return 0;
}

uint64_t number_of(const nlohmann::json& setting, const char* key) {
    const auto at = setting.find(key);
    return at != setting.end() && at->is_number_unsigned() ? at->get<uint64_t>() : 0;
}

bool flag_of(const nlohmann::json& setting, const char* key) {
    const auto at = setting.find(key);
    return at != setting.end() && at->is_boolean() && at->get<bool>();
}

Result<service_options> options_of(const nlohmann::json& setting) {
    service_options out;
    const auto uuid = setting.find("uuid");
    auto id = md::parse_uuid(uuid != setting.end() && uuid->is_string() ? uuid->get<std::string>()
                                                                        : std::string());
    if (!id)
        return forward_error(id.error());
    out.assembly.set_uuid = *id;
    if (const auto spares = setting.find("spares"); spares != setting.end() && spares->is_array()) {
        for (const nlohmann::json& spare : *spares) {
            if (spare.is_string())
                out.devices.push_back(spare.get<std::string>());
        }
    }
    out.passthrough = flag_of(setting, "passthrough");
    // A daemon that does not tell has it as it is by itself.
    out.affinity = !setting.contains("affinity") || flag_of(setting, "affinity");
    out.reserve = static_cast<reserve_mode>(
        std::min<uint64_t>(number_of(setting, "reserve"), static_cast<uint64_t>(reserve_mode::no)));
    if (const auto wait = setting.find("no_path_timeout_ms");
        wait != setting.end() && wait->is_number_unsigned())
        out.no_path_timeout = std::chrono::milliseconds(wait->get<uint64_t>());
    out.readd = flag_of(setting, "re_add");
    out.foreground = flag_of(setting, "foreground");
    out.stop_when_unused = flag_of(setting, "stop_when_unused");
    out.clean_after = std::chrono::milliseconds(number_of(setting, "clean_after_ms"));
    out.rates = {number_of(setting, "sync_min_kib"), number_of(setting, "sync_max_kib")};
    return out;
}

// Not for people.
int succeed(const context& ctx) {
    auto old = std::make_shared<predecessor_line>(Fd(successor_fd));
    auto give_up = [&old](const Error& why) {
        (void)old->tell(error_json(why));
        return 1;
    };
    auto setting = old->take();
    if (!setting)
        return give_up(setting.error());
    auto options = options_of(*setting);
    if (!options)
        return give_up(options.error());
    const std::array keep = {successor_fd};
    // All rings are made while the old daemon serves: a CPU that waits is met here.
    for (Status ok :
         {raise_limits(), spare_from_oom(), offline_guard().try_ring(), leave_caller(keep)}) {
        if (!ok)
            return give_up(ok.error());
    }
    options->old = old;
    options->progress = [old](const std::string& text) {
        return text.empty() || static_cast<bool>(old->tell({{"progress", text}}));
    };
    return serve_successor(ctx, std::move(*options));
}

}  // namespace

void add_handover(CLI::App& app, context& ctx) {
    auto array = std::make_shared<std::string>();
    CLI::App* command = app.add_subcommand(
        "handover", "another daemon, of this program, serves a running array, under load");
    command->add_option("array", *array, "name, uuid or block device")->required();
    command->callback([array, &ctx] { ctx.run = [array, &ctx] { return handover(ctx, *array); }; });
    CLI::App* successor = app.add_subcommand("successor", "")->group("");
    successor->callback([&ctx] { ctx.run = [&ctx] { return succeed(ctx); }; });
}

}  // namespace rr::cli
