// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// add, remove, and the work of the array on itself: check, repair, pause, resume,
// cancel, set, wait, watch.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/process.h"
#include "base/text.h"
#include "cli/check_all.h"
#include "cli/commands.h"
#include "cli/settings.h"
#include "cli/status_text.h"
#include "members/spelling.h"
#include "service/places.h"
#include "service/report.h"

namespace rr::cli {
namespace {

constexpr int change_timeout_ms = 60000;
constexpr auto wait_poll = std::chrono::milliseconds(200);
constexpr auto watch_terminal = std::chrono::milliseconds(500);
constexpr auto watch_elsewhere = std::chrono::seconds(5);
constexpr int exit_degraded = 1;

nlohmann::json job_of(const nlohmann::json& status, const char* key) {
    const nlohmann::json job = status.value("job", nlohmann::json::object());
    return job.is_object() ? job.value(key, nlohmann::json()) : nlohmann::json();
}

int answer(const context& ctx, const Result<nlohmann::json>& told, const std::string& text) {
    if (!told)
        return print_error(ctx, told.error());
    if (ctx.json)
        print_json(*told);
    else
        print_line(stdout, "{}", text);
    return 0;
}

// Until nothing is under way: 0 as it should be, 1 degraded or the check found something.
int wait(const context& ctx, const std::string& array) {
    for (;;) {
        auto status = ask_status(array);
        if (!status)
            return print_error(ctx, status.error());
        const nlohmann::json now = job_of(*status, "now");
        const bool stopped = now.is_object() && now.value("state", "") != "running";
        if (now.is_object() && !stopped) {
            std::this_thread::sleep_for(wait_poll);
            continue;
        }
        const nlohmann::json last = job_of(*status, "last");
        const bool found =
            last.is_object() && (last.value("how", "") != "done" ||
                                 (last.value("kind", "") == "check" &&
                                  last.value("mismatch_sectors", uint64_t{0}) != 0) ||
                                 last.value("unreadable_cells", uint64_t{0}) != 0);
        const std::string state = status->value("state", "");
        if (ctx.json)
            print_json({{"schema", json_schema}, {"ok", true}, {"state", state}, {"last", last}});
        else
            print_line(stdout, "{}{}", state,
                       stopped ? ", and its " + now.value("kind", "") + " waits" : "");
        return state == "healthy" && !found && !stopped ? 0 : exit_degraded;
    }
}

int watch(const context& ctx, const std::string& array) {
    const bool redraw = !ctx.json && ::isatty(STDOUT_FILENO) == 1;
    for (;;) {
        auto status = ask_status(array);
        if (!status)
            return print_error(ctx, status.error());
        const std::string line = job_line(*status);
        const std::string state = status->value("state", "");
        if (ctx.json)
            print_line(
                stdout, "{}",
                to_line(
                    {{"schema", json_schema}, {"state", state}, {"job", job_of(*status, "now")}}));
        else if (redraw)
            fmt::print("\r\033[K{}: {}", state, line.empty() ? "idle" : line);
        else
            print_line(stdout, "{}: {}", state, line.empty() ? "idle" : line);
        std::fflush(stdout);
        const nlohmann::json now = job_of(*status, "now");
        if (!now.is_object() || now.value("state", "") != "running") {
            if (redraw)
                fmt::print("\n");
            return state == "healthy" ? 0 : exit_degraded;
        }
        if (redraw)
            std::this_thread::sleep_for(watch_terminal);
        else
            std::this_thread::sleep_for(watch_elsewhere);
    }
}

CLI::App* command_for(CLI::App& app, const char* name, const char* text,
                      const std::shared_ptr<std::string>& array) {
    CLI::App* command = app.add_subcommand(name, text);
    command->add_option("array", *array, "name, uuid or block device (default: the only one)");
    return command;
}

struct check_options {
    std::string from = "0", to = "0";
    std::string time;
    bool wait = false, all = false, only_paused = false;
};

int check(const context& ctx, const std::string& array, const char* what,
          const check_options& how) {
    auto from = parse_bytes(how.from);
    auto to = parse_bytes(how.to);
    if (!from || !to)
        return print_error(ctx, from ? to.error() : from.error());
    auto told = ask_array(
        array,
        {{"command", "job"}, {"what", what}, {"from", *from / 512}, {"to", (*to + 511) / 512}},
        ask_timeout_ms);
    if (!told || !how.wait)
        return answer(ctx, told, fmt::format("the {} has begun: ringraid watch", what));
    return wait(ctx, array);
}

// What check has besides: all arrays, for a time.
void add_check_all(CLI::App& command, const std::shared_ptr<std::string>& array,
                   const std::shared_ptr<check_options>& how, context& ctx) {
    CLI::Option* all =
        command.add_flag("--all", how->all, "every array that runs and is configured for it");
    command.add_option("--for", how->time, "then pause it, as 6h (default: as configured)")
        ->needs(all);
    command.add_flag("--continue", how->only_paused, "go on with those that were paused")
        ->needs(all);
    for (const char* other : {"array", "--from", "--to", "--wait"})
        all->excludes(command.get_option(other));
    command.callback([array, how, &ctx] {
        ctx.run = [array, how, &ctx] {
            return how->all ? check_all(ctx, how->time, how->only_paused)
                            : check(ctx, *array, "check", *how);
        };
    });
}

void add_check(CLI::App& app, context& ctx, const char* what, const char* text) {
    auto array = std::make_shared<std::string>();
    auto how = std::make_shared<check_options>();
    CLI::App* command = command_for(app, what, text, array);
    command->add_option("--from", how->from, "where to begin on the members' data, as 64M");
    command->add_option("--to", how->to, "where to end");
    command->add_flag("--wait", how->wait, "until it is over");
    if (what == std::string_view("check")) {
        add_check_all(*command, array, how, ctx);
        return;
    }
    command->callback([array, how, what, &ctx] {
        ctx.run = [array, how, what, &ctx] { return check(ctx, *array, what, *how); };
    });
}

void add_order(CLI::App& app, context& ctx, const char* what, const char* text) {
    auto array = std::make_shared<std::string>();
    command_for(app, what, text, array)->callback([array, what, &ctx] {
        ctx.run = [array, what, &ctx] {
            return answer(ctx,
                          ask_array(*array, {{"command", "job"}, {"what", what}}, ask_timeout_ms),
                          fmt::format("{}: done", what));
        };
    });
}

// KEY=VALUE words of `set`: orders for the daemon.
class settings {
public:
    explicit settings(const nlohmann::json& status) {
        const nlohmann::json job = status.value("job", nlohmann::json::object());
        rates_ = {{"command", "job"},
                  {"what", "rates"},
                  {"min_kib", job.value("sync_min_kib", uint64_t{0})},
                  {"max_kib", job.value("sync_max_kib", uint64_t{0})}};
        bitmap_ = {{"command", "bitmap"}};
        latency_ = {{"command", "latency"}};
        readd_ = {{"command", "re-add"}};
        consistency_ = {{"command", "consistency"}};
    }

    Status take(const std::string& word) {
        const auto equals = word.find('=');
        const std::string key = word.substr(0, equals);
        const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
        if (key == "sync-min" || key == "sync-max")
            return take_rate(key, value);
        if (key == "bitmap" && (value == "internal" || value == "none")) {
            bitmap_["kind"] = value;
            return {};
        }
        if (key == "bitmap-chunk")
            return take_chunk(value);
        if (key == "consistency" && md::parse_consistency(value))
            return take_consistency(value);
        if (key == "latency" && (value == "on" || value == "off")) {
            latency_["on"] = value == "on";
            return {};
        }
        if (key == "re-add" && (value == "yes" || value == "no")) {
            readd_["on"] = value == "yes";
            return {};
        }
        return with_hint(
            fail(EINVAL, "{} is no setting", word),
            "sync-min=KIB and sync-max=KIB: KiB/s of each member; sync-max=0 is as "
            "fast as they are. consistency=ppl, consistency=bitmap, or consistency=resync "
            "said twice. bitmap=internal or bitmap=none; bitmap-chunk=BYTES. "
            "latency=on or latency=off. re-add=yes or re-add=no. configured: the rates, "
            "latency, re-add and consistency of ringraid config");
    }

    // What the configuration says of an array that runs.
    Status take_configured(const nlohmann::json& status) {
        const settings_map set =
            machine_config().array(status.value("name", ""), status.value("uuid", ""));
        rates_["min_kib"] = rates_["max_kib"] = uint64_t{0};
        latency_["on"] = set.at("latency").value == "on";
        readd_["on"] = set.at("re-add").value == "yes";
        // What is not configured is as the array has it. A file says resync once.
        if (const std::string& policy = set.at("consistency").value; !policy.empty())
            consistency_["policy"] = policy;
        Status ok = take_rate("sync-min", set.at("sync-min").value);
        return ok ? take_rate("sync-max", set.at("sync-max").value) : ok;
    }

    // What was to be said twice was.
    [[nodiscard]] Status check() const {
        if (resyncs_ == 1)
            return resync_said_once("consistency=resync");
        return {};
    }

    [[nodiscard]] std::vector<nlohmann::json> orders() const {
        std::vector<nlohmann::json> out;
        if (rates_named_)
            out.push_back(rates_);
        for (const nlohmann::json& one : {consistency_, bitmap_, latency_, readd_}) {
            if (one.size() > 1)
                out.push_back(one);
        }
        return out;
    }

private:
    Status take_rate(const std::string& key, const std::string& text) {
        auto value = parse_bytes(text);
        if (!value)
            return forward_error(value.error());
        rates_named_ = true;
        rates_[key == "sync-min" ? "min_kib" : "max_kib"] = *value;
        // A limit below what is promised takes the promise with it.
        if (key == "sync-max" && *value != 0 && *value < rates_["min_kib"].get<uint64_t>())
            rates_["min_kib"] = *value;
        return {};
    }

    Status take_consistency(const std::string& value) {
        if (consistency_.contains("policy") && consistency_["policy"] != value)
            return fail(EINVAL, "consistency={} and consistency={}",
                        text_in(consistency_, "policy"), value);
        consistency_["policy"] = value;
        resyncs_ += value == md::to_string(md::consistency::resync) ? 1 : 0;
        return {};
    }

    Status take_chunk(const std::string& text) {
        auto value = parse_bitmap_chunk(text);
        if (!value)
            return forward_error(value.error());
        bitmap_["chunk_bytes"] = *value;
        return {};
    }

    nlohmann::json rates_, bitmap_, latency_, readd_, consistency_;
    uint32_t resyncs_ = 0;
    bool rates_named_ = false;
};

int set(const context& ctx, const std::string& array, const std::vector<std::string>& words) {
    auto status = ask_status(array);
    if (!status)
        return print_error(ctx, status.error());
    settings wanted(*status);
    for (const std::string& word : words) {
        Status ok = word == "configured" ? wanted.take_configured(*status) : wanted.take(word);
        if (!ok)
            return print_error(ctx, ok.error());
    }
    if (Status ok = wanted.check(); !ok)
        return print_error(ctx, ok.error());
    Result<nlohmann::json> told = *status;
    bool later = false;
    for (const nlohmann::json& order : wanted.orders()) {
        told = ask_array(array, order, change_timeout_ms);
        if (!told)
            break;
        later = later || told->value("later", false);
    }
    return answer(ctx, told,
                  later ? "set: the log begins when parity is right, ringraid watch" : "set");
}

}  // namespace

std::vector<std::string> live_setting_words() {
    return {"sync-min=",         "sync-max=",  "bitmap=internal", "bitmap=none",
            "bitmap-chunk=",     "latency=on", "latency=off",     "re-add=yes",
            "re-add=no",         "configured", "consistency=ppl", "consistency=bitmap",
            "consistency=resync"};
}

void add_add(CLI::App& app, context& ctx) {
    auto array = std::make_shared<std::string>();
    auto devices = std::make_shared<std::vector<std::string>>();
    auto force = std::make_shared<bool>(false);
    CLI::App* command = app.add_subcommand(
        "add", "give devices to an array: it is rebuilt if degraded, else they are spares");
    command->add_option("array", *array, "name, uuid or block device")->required();
    command->add_option("devices", *devices, "what is on them is lost")->required();
    command->add_flag("--force", *force, "although something is on them");
    command->callback([array, devices, force, &ctx] {
        ctx.run = [array, devices, force, &ctx] {
            nlohmann::json paths = nlohmann::json::array();
            for (const std::string& path : *devices)
                paths.push_back(spell_device(path));
            auto told =
                ask_array(*array, {{"command", "add"}, {"devices", paths}, {"force", *force}},
                          change_timeout_ms);
            const bool rebuilds = told && told->value("rebuilding", false);
            return answer(
                ctx, told,
                rebuilds ? "added; the array is being rebuilt: ringraid watch" : "added as spare");
        };
    });
}

void add_remove(CLI::App& app, context& ctx) {
    auto array = std::make_shared<std::string>();
    auto device = std::make_shared<std::string>();
    CLI::App* command = app.add_subcommand("remove", "let a spare, or a member that failed, go");
    command->add_option("array", *array, "name, uuid or block device")->required();
    command->add_option("device", *device, "device path or role")->required();
    command->callback([array, device, &ctx] {
        ctx.run = [array, device, &ctx] {
            return answer(
                ctx,
                ask_array(*array, {{"command", "remove"}, {"device", spell_device(*device)}},
                          change_timeout_ms),
                fmt::format("{} is free", *device));
        };
    });
}

namespace {

struct replace_options {
    std::string array, member, with;
    bool force = false, wait = false;
};

int replace(const context& ctx, const replace_options& how) {
    nlohmann::json order = {
        {"command", "replace"}, {"member", spell_device(how.member)}, {"force", how.force}};
    if (!how.with.empty())
        order["with"] = spell_device(how.with);
    auto told = ask_array(how.array, order, change_timeout_ms);
    if (!told || !how.wait)
        return answer(ctx, told, "the member is being replaced: ringraid watch");
    return wait(ctx, how.array);
}

}  // namespace

void add_replace(CLI::App& app, context& ctx) {
    auto how = std::make_shared<replace_options>();
    CLI::App* command = app.add_subcommand(
        "replace", "put another device in a member's place: the array stays redundant");
    command->add_option("array", how->array, "name, uuid or block device")->required();
    command->add_option("member", how->member, "role, or device path")->required();
    command->add_option("--with", how->with,
                        "the new device, what is on it is lost (default: a spare)");
    command->add_flag("--force", how->force, "although something is on it");
    command->add_flag("--wait", how->wait, "until it has the place");
    command->callback([how, &ctx] { ctx.run = [how, &ctx] { return replace(ctx, *how); }; });
}

void add_jobs(CLI::App& app, context& ctx) {
    add_check(app, ctx, "check", "compare parity with the data, and count where it differs");
    add_check(app, ctx, "repair", "make parity from the data where it differs");
    add_order(app, ctx, "pause", "let the check, repair, rebuild or resync wait");
    add_order(app, ctx, "resume", "... and go on");
    add_order(app, ctx, "cancel", "end a check, a repair or a replacement");
    auto array = std::make_shared<std::string>();
    auto words = std::make_shared<std::vector<std::string>>();
    CLI::App* setting = app.add_subcommand("set", "change a setting of a running array");
    setting->add_option("array", *array, "name, uuid or block device")->required();
    setting
        ->add_option("settings", *words,
                     "sync-min=KIB, sync-max=KIB, consistency=ppl|bitmap|resync, "
                     "bitmap=internal|none, bitmap-chunk=BYTES, latency=on|off, "
                     "re-add=yes|no, configured")
        ->required();
    setting->callback([array, words, &ctx] {
        ctx.run = [array, words, &ctx] { return set(ctx, *array, *words); };
    });
    auto waited = std::make_shared<std::string>();
    command_for(app, "wait", "return when no job runs; 1: degraded, or something was found", waited)
        ->callback([waited, &ctx] { ctx.run = [waited, &ctx] { return wait(ctx, *waited); }; });
    auto watched = std::make_shared<std::string>();
    command_for(app, "watch", "show the job until it is over", watched)->callback([watched, &ctx] {
        ctx.run = [watched, &ctx] { return watch(ctx, *watched); };
    });
}

}  // namespace rr::cli
