// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// config: is what is configured right, and what follows from it?
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/settings.h"
#include "service/predecessor.h"
#include "service/report.h"

namespace rr::cli {
namespace {

void say_problems(const config& of) {
    for (const config_problem& p : of.problems()) {
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

// Those that have a section, and those that run.
std::vector<named_settings> arrays_of(const config& of) {
    std::vector<named_settings> out;
    std::set<std::string> known;
    for (const nlohmann::json& state : running_arrays()) {
        const std::string name = state.value("name", ""), uuid = state.value("uuid", "");
        known.insert({name, short_name(name), uuid});
        out.push_back({name, uuid, of.array(name, uuid)});
    }
    for (const std::string& name : of.named()) {
        if (known.contains(name))
            continue;
        const bool is_uuid = md::parse_uuid(name).has_value();
        out.push_back({is_uuid ? "" : name, is_uuid ? name : "",
                       of.array(is_uuid ? "" : name, is_uuid ? name : "")});
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

nlohmann::json all_json(const config& of) {
    nlohmann::json problems = nlohmann::json::array(), arrays = nlohmann::json::array();
    for (const config_problem& p : of.problems())
        problems.push_back({{"where", p.where}, {"what", p.what}, {"hint", p.hint}});
    for (const named_settings& one : arrays_of(of))
        arrays.push_back(
            {{"name", one.name}, {"uuid", one.uuid}, {"settings", to_json(one.settings)}});
    return {{"schema", json_schema},
            {"ok", of.problems().empty()},
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
    if (ctx.json) {
        print_json(all_json(of));
    } else {
        say_problems(of);
        print_all(of);
    }
    return of.problems().empty() ? 0 : 1;
}

}  // namespace

const config& machine_config() {
    static const config the_one = [] {
        config out = read_config();
        say_problems(out);
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
