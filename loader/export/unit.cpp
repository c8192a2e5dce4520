// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "export/unit.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <string_view>

#include "base/durable_file.h"
#include "base/run_program.h"
#include "export/program.h"

namespace rr {
namespace {

namespace fs = std::filesystem;

constexpr const char* unit_file = "/usr/lib/systemd/system/ringraid-export@.service";
constexpr const char* own_units = "/etc/systemd/system";
constexpr auto systemctl_time = std::chrono::minutes(5);

std::string unit_of(const std::string& name) {
    return fmt::format("ringraid-export@{}.service", name);
}
std::string unit_of_array(const std::string& uuid) {
    return fmt::format("ringraid@{}.service", uuid);
}
std::string array_unit(const export_spec& spec) {
    return unit_of_array(uuid_of(spec));
}
// The name of the export that it is of; empty: it is another unit.
std::string name_in(std::string unit) {
    constexpr std::string_view before = "ringraid-export@", after = ".service";
    if (!unit.starts_with(before) || !unit.ends_with(after))
        return "";
    unit.resize(unit.size() - after.size());
    return unit.substr(before.size());
}
std::string configuration_of(const std::string& name) {
    return fmt::format("{}/{}", export_configuration, name);
}

// sd_booted(3)'s test.
bool is_booted() {
    return ::access("/run/systemd/system", F_OK) == 0;
}

Status systemctl(std::vector<std::string> words) {
    auto found = find_program("systemctl", "systemd");
    if (!found)
        return forward_error(found.error());
    words.insert(words.begin(), {*found, "--quiet"});
    return run_program(words, "", systemctl_time);
}

Status write_configuration(const export_spec& spec) {
    const std::string extra = fmt::format("{}/{}.d", own_units, unit_of(spec.name));
    std::error_code error;
    for (const std::string& directory : {std::string(export_configuration), extra}) {
        if (!fs::create_directories(directory, error) && error)
            return fail(error.value(), "cannot make {}", directory);
    }
    Status ok = write_durably(
        configuration_of(spec.name),
        fmt::format("# Served by {}\nOPTIONS={}\n", unit_of(spec.name), command_line(spec)));
    if (!ok)
        return ok;
    return write_durably(extra + "/array.conf",
                         fmt::format("[Unit]\nAfter={}\n", array_unit(spec)));
}

Status forget(const std::string& name) {
    std::error_code error;
    const std::string unit = unit_of(name);
    for (const auto& entry : fs::directory_iterator(own_units, error)) {
        if (entry.path().filename().string().starts_with("ringraid@") &&
            entry.path().extension() == ".wants")
            fs::remove(entry.path() / unit, error);
    }
    fs::remove_all(fmt::format("{}/{}.d", own_units, unit), error);
    fs::remove(configuration_of(name), error);
    return systemctl({"daemon-reload"});
}

}  // namespace

std::vector<std::string> configured_exports() {
    std::vector<std::string> out;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(export_configuration, error)) {
        const std::string name = entry.path().filename().string();
        if (!name.ends_with(".new"))
            out.push_back(name);
    }
    std::ranges::sort(out);
    return out;
}

bool is_configured(const std::string& name) {
    return ::access(configuration_of(name).c_str(), F_OK) == 0;
}

bool export_units_serve(const export_spec& spec) {
    return is_booted() && ::access(unit_file, F_OK) == 0 &&
           systemctl({"is-active", array_unit(spec)}).has_value();
}

Status start_export_unit(const export_spec& spec) {
    const std::string unit = unit_of(spec.name);
    if (is_configured(spec.name))
        return with_hint(fail(EEXIST, "there is an export {}", spec.name),
                         fmt::format("ringraid unexport {}, or another --name", spec.name));
    Status ok = write_configuration(spec);
    if (ok)
        ok = systemctl({"daemon-reload"});
    if (ok)
        ok = systemctl({"add-wants", array_unit(spec), unit});
    if (ok) {
        ok = systemctl({"start", unit});
        if (!ok)
            ok = with_hint(fail(EIO, "{} did not start", unit),
                           fmt::format("journalctl -b -u {} says why", unit));
    }
    if (!ok) {
        (void)systemctl({"reset-failed", unit});
        (void)forget(spec.name);
    }
    return ok;
}

Status stop_export_unit(const std::string& name) {
    if (Status ok = systemctl({"stop", unit_of(name)}); !ok)
        return with_hint(fail(EIO, "{} does not stop", unit_of(name)),
                         fmt::format("journalctl -b -u {} says why", unit_of(name)));
    return forget(name);
}

std::vector<std::string> export_units_of(const std::string& array) {
    std::vector<std::string> out;
    std::error_code error;
    const fs::path wanted = fmt::format("{}/{}.wants", own_units, unit_of_array(array));
    for (const auto& entry : fs::directory_iterator(wanted, error)) {
        const std::string name = name_in(entry.path().filename());
        if (!name.empty() && is_booted())
            out.push_back(name);
    }
    std::ranges::sort(out);
    return out;
}

bool export_unit_is_active(const std::string& name) {
    return systemctl({"is-active", unit_of(name)}).has_value();
}

Status pause_export_units(const std::vector<std::string>& names) {
    if (names.empty())
        return {};
    std::vector<std::string> words = {"stop"};
    for (const std::string& name : names)
        words.push_back(unit_of(name));
    Status stopped = systemctl(words);
    // One whose server had to be killed failed by that.
    for (const std::string& name : names) {
        if (systemctl({"is-failed", unit_of(name)}))
            (void)systemctl({"reset-failed", unit_of(name)});
    }
    if (!stopped)
        return with_hint(fail(stopped.error().err, "the units of exports do not stop"),
                         "systemctl list-jobs 'ringraid-export@*' says which");
    return {};
}

}  // namespace rr
