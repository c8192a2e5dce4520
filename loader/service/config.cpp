// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <ini.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include "base/size.h"
#include "md/superblock.h"
#include "service/paths.h"

namespace rr {
namespace {

using kind = setting_rule::kind;

constexpr double day_s = 86400;

constexpr auto array_rules = std::to_array<setting_rule>({
    {"engine", kind::choice, "auto", "auto bpf user"},
    {"queues", kind::number, "", "ublk queues (one per CPU, at most 4)", 1, 16},
    {"depth", kind::number, "64", "requests per queue", 1, 256},
    {"slots", kind::number, "64", "row operations per queue", 1, 256},
    {"arena", kind::size, "1G", "most memory for buffers", 1 << 20, 4.0 * (1 << 30)},
    {"affinity", kind::choice, "yes", "yes no"},
    {"clean-after", kind::number, "5",
     "seconds without a write until superblocks say clean; 0: never", 0, day_s},
    {"passthrough", kind::choice, "no", "yes no"},
    {"wait", kind::number, "30", "seconds to wait for late members", 0, day_s},
    {"sync-min", kind::number, "1000", "KiB/s of each member that a job tries to keep", 0, 1e9},
    {"sync-max", kind::number, "0", "the most that a job does; 0: no bound", 0, 1e9},
    {"latency", kind::choice, "off", "on off"},
    {"check", kind::choice, "yes", "yes no"},
    {"spares", kind::number, "0", "as many are to be there; fewer is an event", 0, 64},
    {"no-path-timeout", kind::number, "", "seconds to wait out an outage (60 over fabrics, else 0)",
     0, day_s},
    {"re-add", kind::choice, "no", "yes no"},
    {"consistency", kind::choice, "", "ppl bitmap resync"},
    {"reserve", kind::choice, "auto", "auto yes no"},
});

constexpr auto monitor_rules = std::to_array<setting_rule>({
    {"mail", kind::text, "root", "to whom mail goes; none: to nobody"},
    {"from", kind::text, "root", "whom it comes from"},
    {"program", kind::path, "", "run for each event"},
    {"remind", kind::duration, "24h", "time between mails while degraded; 0: none"},
    {"sendmail", kind::path, "/usr/sbin/sendmail", "takes the mail"},
});

constexpr auto check_rules = std::to_array<setting_rule>({
    {"for", kind::duration, "6h", "how long at a time; 0: to the end"},
});

std::string number_flaw(const setting_rule& rule, const std::string& value) {
    double number = 0;
    const auto [rest, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    const bool whole = rule.name == std::string_view("clean-after") ||
                       value.find_first_not_of("0123456789") == std::string::npos;
    if (error != std::errc() || rest != value.data() + value.size() || !whole)
        return "is no number";
    // No number at all (nan) is in no range.
    return !(number >= rule.least && number <= rule.most)
               ? fmt::format("is not from {:.0f} to {:.0f}", rule.least, rule.most)
               : "";
}

bool is_one_of(const std::string& value, const std::string& words) {
    return !value.empty() && (' ' + words + ' ').find(' ' + value + ' ') != std::string::npos;
}

const setting_rule* find_rule(std::span<const setting_rule> rules, const std::string& key) {
    auto at = std::ranges::find_if(rules, [&key](const setting_rule& r) { return key == r.name; });
    return at == rules.end() ? nullptr : &*at;
}

std::optional<std::span<const setting_rule>> rules_of(const std::string& section) {
    if (section == "array" || section.starts_with("array "))
        return array_rules;
    if (section == "monitor")
        return monitor_rules;
    if (section == "check")
        return check_rules;
    return std::nullopt;
}

std::string names_of(std::span<const setting_rule> rules) {
    std::vector<std::string> names;
    for (const setting_rule& rule : rules)
        names.emplace_back(rule.name);
    return fmt::format("{}", fmt::join(names, ", "));
}

// "array  3F-.." by the uuid's one spelling.
std::string section_of(const std::string& text) {
    if (!text.starts_with("array "))
        return text;
    std::string name = text.substr(text.find_first_not_of(' ', 5));
    if (auto id = md::parse_uuid(name))
        name = md::to_string(*id);
    return "array " + name;
}

}  // namespace

std::span<const setting_rule> array_settings() {
    return array_rules;
}
std::span<const setting_rule> monitor_settings() {
    return monitor_rules;
}
std::span<const setting_rule> check_settings() {
    return check_rules;
}

std::string flaw_of(const setting_rule& rule, const std::string& value) {
    switch (rule.is) {
        case kind::number:
            return number_flaw(rule, value);
        case kind::size: {
            auto bytes = parse_bytes(value);
            if (!bytes)
                return "is not a size";
            const auto number = static_cast<double>(*bytes);
            return number < rule.least || number > rule.most ? "is not from 1M to 4G" : "";
        }
        case kind::duration:
            return parse_seconds(value) ? "" : "is no time";
        case kind::choice:
            return is_one_of(value, rule.what) ? "" : fmt::format("is none of: {}", rule.what);
        case kind::path:
            return value.empty() || value.starts_with('/') ? "" : "is no path from the root";
        case kind::text:
            break;
    }
    // It goes into the head of a mail.
    const bool plain = std::ranges::all_of(value, [](unsigned char c) { return c >= ' '; });
    return plain ? "" : "has control characters";
}

// What inih is in the middle of. It says no line's number, so lines are counted as it
// takes them; and it would take the rest of a line that is too long for another one.
struct config::reading {
    config* self;
    const std::string& text;
    const std::string& file;
    size_t at = 0;
    size_t number = 0;

    [[nodiscard]] std::string where() const { return fmt::format("{}:{}", file, number); }
};

char* config::next_line(char* into, int room, void* user) {
    auto& r = *static_cast<reading*>(user);
    if (r.at >= r.text.size())
        return nullptr;
    const size_t end = std::min(r.text.find('\n', r.at), r.text.size());
    std::string line = r.text.substr(r.at, end - r.at);
    r.at = end + 1;
    r.number++;
    if (line.size() + 3 > static_cast<size_t>(room) || line.find('\0') != std::string::npos) {
        r.self->problem(r.where(), "the line is too long, or no text",
                        "180 characters are too many");
        line.clear();
    }
    line += '\n';
    std::memcpy(into, line.c_str(), line.size() + 1);
    return into;
}

int config::take(void* user, const char* section, const char* key, const char* value) {
    auto& r = *static_cast<reading*>(user);
    const std::string name = section_of(section);
    const auto rules = rules_of(name);
    const setting_rule* rule = rules ? find_rule(*rules, key) : nullptr;
    if (!rules)
        r.self->problem(r.where(), fmt::format("there is no section [{}]", section),
                        "the sections are [array], [array NAME], [monitor] and [check]");
    else if (rule == nullptr)
        r.self->problem(r.where(), fmt::format("[{}] has no setting {}", section, key),
                        "its settings are " + names_of(*rules));
    else if (std::string flaw = flaw_of(*rule, value); !flaw.empty())
        r.self->problem(r.where(), fmt::format("{}: {} {}", key, value, flaw),
                        fmt::format("it is: {}", rule->what));
    else
        r.self->lines_.push_back({name, key, {value, r.where()}});
    return 1;
}

void config::problem(const std::string& where, std::string what, std::string hint) {
    problems_.push_back({where, std::move(what), std::move(hint)});
}

void config::read(const std::string& text, const std::string& file) {
    files_.push_back(file);
    reading r{this, text, file};
    // An indented line is a line.
    ini_allow_multiline = false;
    if (const int line = ini_parse_stream(next_line, &r, take, &r); line > 0)
        problem(fmt::format("{}:{}", file, line), "neither [SECTION] nor KEY = VALUE",
                "a comment begins with #");
}

void config::read_file(const std::string& path) {
    errno = 0;
    std::error_code error;
    std::ifstream file(path, std::ios::binary);
    if (!file && errno == ENOENT)
        return;
    if (!file || !std::filesystem::is_regular_file(path, error)) {
        problem(path + ":0", "it cannot be read", "it is a file that root can read, or not there");
        return;
    }
    read({std::istreambuf_iterator<char>(file), {}}, path);
}

settings_map config::of(std::span<const setting_rule> rules,
                        const std::vector<std::string>& sections) const {
    settings_map out;
    for (const setting_rule& rule : rules)
        out[rule.name] = {rule.standard, ""};
    for (const std::string& section : sections) {
        for (const line& l : lines_) {
            if (l.section == section)
                out[l.key] = l.value;
        }
    }
    return out;
}

settings_map config::array(const std::string& name, const std::string& uuid) const {
    std::vector<std::string> sections = {"array"};
    if (!name.empty())
        sections.push_back("array " + short_name(name));
    if (short_name(name) != name)
        sections.push_back("array " + name);
    if (auto id = md::parse_uuid(uuid))
        sections.push_back("array " + md::to_string(*id));
    return of(array_rules, sections);
}

settings_map config::monitor() const {
    return of(monitor_rules, {"monitor"});
}

settings_map config::check() const {
    return of(check_rules, {"check"});
}

std::vector<std::string> config::named() const {
    std::vector<std::string> out;
    for (const line& l : lines_) {
        if (!l.section.starts_with("array "))
            continue;
        std::string name = l.section.substr(6);
        if (std::ranges::find(out, name) == out.end())
            out.push_back(std::move(name));
    }
    return out;
}

config read_config() {
    config out;
    out.read_file(config_file);
    std::vector<std::string> more;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(config_directory, error)) {
        if (entry.path().extension() == ".conf")
            more.push_back(entry.path().string());
    }
    std::ranges::sort(more);
    for (const std::string& path : more)
        out.read_file(path);
    return out;
}

}  // namespace rr
