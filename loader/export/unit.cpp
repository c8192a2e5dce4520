// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "export/unit.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>

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
std::string array_unit(const export_spec& spec) {
    return fmt::format("ringraid@{}.service", uuid_of(spec));
}
std::string configuration_of(const std::string& name) {
    return fmt::format("{}/{}", export_configuration, name);
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
    return ::access("/run/systemd/system", F_OK) == 0 && ::access(unit_file, F_OK) == 0 &&
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

}  // namespace rr
