// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// config: is what is configured right, and what follows from it?
//
// For an array that is ringraid's, what it was started with counts more than a file
// (ownership.h); of one that runs, what holds is what its daemon says. Where that is not
// what would be taken at the next start it was set since, or configured since.
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/settings.h"
#include "service/ownership.h"
#include "service/predecessor.h"
#include "service/report.h"

namespace rr::cli {
namespace {

constexpr int status_ms = 5000;

void say_problems(const std::vector<config_problem>& problems) {
    for (const config_problem& p : problems) {
        print_line(stderr, "ringraid: {}: {}", p.where, p.what);
        print_line(stderr, "hint: {}", p.hint);
    }
}

nlohmann::json to_json(const settings_map& settings) {
    nlohmann::json out = nlohmann::json::object();
    for (const auto& [name, one] : settings)
        out[name] = {{"value", one.value}, {"from", one.from}};
    return out;
}

// In the order of the tables, which is that of the manual page.
void print_settings(const std::string& title, std::span<const setting_rule> rules,
                    const settings_map& settings) {
    print_line(stdout, "[{}]", title);
    for (const setting_rule& rule : rules) {
        const setting& one = settings.at(rule.name);
        const std::string from = one.from.empty() ? "default" : one.from;
        const std::string value = one.value.empty() ? "-" : one.value;
        print_line(stdout, "{:<12} = {:<20} # {}", rule.name, value, from);
    }
    print_line(stdout, "");
}

struct named_settings {
    std::string name, uuid;
    settings_map settings;
};

// Calls @take with each word that an array of ours was given, and its rule.
template <typename Take>
void for_kept_words(const md::uuid& id, const Take& take) {
    const auto words = kept_words(id);
    for (const setting_rule& rule : array_settings()) {
        if (auto word = words.find(rule.name); word != words.end())
            take(rule, word->second);
    }
}

// People may have edited them: a start refuses what does not do, and so it holds nowhere.
void take_kept(settings_map& settings, const std::string& uuid) {
    auto id = md::parse_uuid(uuid);
    if (!id)
        return;
    for_kept_words(*id, [&](const setting_rule& rule, const std::string& value) {
        if (flaw_of(rule, value).empty())
            settings[rule.name] = {value, kept_words_path(*id)};
    });
}

// What is wrong in the files, then in what arrays were given.
std::vector<config_problem> problems_of(const config& of) {
    std::vector<config_problem> out = of.problems();
    std::error_code none;
    for (const auto& file : std::filesystem::directory_iterator(ownership_directory, none)) {
        auto id = md::parse_uuid(file.path().filename().string());
        if (!id)
            continue;
        for_kept_words(*id, [&](const setting_rule& rule, const std::string& value) {
            if (std::string flaw = flaw_of(rule, value); !flaw.empty())
                out.push_back({file.path().string(),
                               fmt::format("--{} {}: {}", rule.name, value, flaw),
                               "the array does not start with it; " +
                                   fmt::format("--{} is: {}", rule.name, rule.what)});
        });
    }
    return out;
}

// As a start does it (start.cpp): a limit below what is promised takes the promise with it.
void bound_promise(settings_map& settings) {
    setting& promise = settings.at("sync-min");
    const setting& limit = settings.at("sync-max");
    if (std::stoul(limit.value) != 0 && std::stoul(limit.value) < std::stoul(promise.value))
        promise = limit;
}

// Numbers may be written in several ways.
bool is_same(const std::string& configured, const std::string& living) {
    return configured == living ||
           (!configured.empty() &&
            std::strtod(configured.c_str(), nullptr) == std::strtod(living.c_str(), nullptr) &&
            living.find_first_not_of("0123456789.") == std::string::npos);
}

// What it has, or is to have when parity is right.
nlohmann::json living_consistency(const nlohmann::json& status) {
    const std::string wanted = text_in(status, "consistency_wanted");
    return wanted.empty() ? status.value("consistency", nlohmann::json()) : nlohmann::json(wanted);
}

// Of a daemon that answers.
void take_living(settings_map& settings, const std::string& uuid) {
    auto status = ask_array(uuid, {{"command", "status"}}, status_ms);
    if (!status)
        return;
    const nlohmann::json job = status->value("job", nlohmann::json::object());
    auto hold = [&settings](const char* name, const nlohmann::json& value, const char* from) {
        if (value.is_null())
            return;
        const std::string living = value.is_string() ? value.get<std::string>() : value.dump();
        setting& now = settings[name];
        // What the program decides is no contradiction.
        const bool is_open = now.value.empty() || now.value == "auto";
        if (!is_open && !is_same(now.value, living))
            now = {living, now.from.empty() ? from : fmt::format("{}; not {}", from, now.from)};
    };
    constexpr const char* set_since = "ringraid set, until it stops";
    constexpr const char* started = "as it was started";
    for (const char* name : {"engine", "queues", "depth", "slots"})
        hold(name, status->value(name, nlohmann::json()), started);
    hold("sync-min", job.value("sync_min_kib", nlohmann::json()), set_since);
    hold("sync-max", job.value("sync_max_kib", nlohmann::json()), set_since);
    hold("consistency", living_consistency(*status), "its superblocks");
}

// Those that have a section, and those that run.
std::vector<named_settings> arrays_of(const config& of) {
    std::vector<named_settings> out;
    std::set<std::string> known;
    for (const nlohmann::json& state : running_arrays()) {
        const std::string name = state.value("name", ""), uuid = state.value("uuid", "");
        known.insert({name, short_name(name), uuid});
        settings_map settings = of.array(name, uuid);
        take_kept(settings, uuid);
        bound_promise(settings);
        take_living(settings, uuid);
        out.push_back({name, uuid, std::move(settings)});
    }
    for (const std::string& name : of.named()) {
        if (known.contains(name))
            continue;
        const bool is_uuid = md::parse_uuid(name).has_value();
        settings_map settings = of.array(is_uuid ? "" : name, is_uuid ? name : "");
        if (is_uuid)
            take_kept(settings, name);
        bound_promise(settings);
        out.push_back({is_uuid ? "" : name, is_uuid ? name : "", std::move(settings)});
    }
    return out;
}

void print_all(const config& of) {
    print_settings("array", array_settings(), of.array("", ""));
    for (const named_settings& one : arrays_of(of))
        print_settings("array " + (one.name.empty() ? one.uuid : one.name), array_settings(),
                       one.settings);
    print_settings("monitor", monitor_settings(), of.monitor());
    print_settings("check", check_settings(), of.check());
}

nlohmann::json all_json(const config& of, const std::vector<config_problem>& wrong) {
    nlohmann::json problems = nlohmann::json::array(), arrays = nlohmann::json::array();
    for (const config_problem& p : wrong)
        problems.push_back({{"where", p.where}, {"what", p.what}, {"hint", p.hint}});
    for (const named_settings& one : arrays_of(of))
        arrays.push_back(
            {{"name", one.name}, {"uuid", one.uuid}, {"settings", to_json(one.settings)}});
    return {{"schema", json_schema},
            {"ok", wrong.empty()},
            {"files", of.files()},
            {"problems", problems},
            {"array", to_json(of.array("", ""))},
            {"arrays", arrays},
            {"monitor", to_json(of.monitor())},
            {"check", to_json(of.check())}};
}

int show_config(const context& ctx, const std::vector<std::string>& files) {
    config of = files.empty() ? read_config() : config();
    for (const std::string& file : files)
        of.read_file(file);
    const std::vector<config_problem> wrong = problems_of(of);
    if (ctx.json) {
        print_json(all_json(of, wrong));
    } else {
        say_problems(wrong);
        print_all(of);
    }
    return wrong.empty() ? 0 : 1;
}

}  // namespace

const config& machine_config() {
    static const config the_one = [] {
        config out = read_config();
        say_problems(out.problems());
        return out;
    }();
    return the_one;
}

void add_config(CLI::App& app, context& ctx) {
    auto files = std::make_shared<std::vector<std::string>>();
    CLI::App* command = app.add_subcommand("config", "check the configuration, and show it");
    command->add_option("files", *files, "instead of the machine's");
    command->callback(
        [files, &ctx] { ctx.run = [files, &ctx] { return show_config(ctx, *files); }; });
}

}  // namespace rr::cli
