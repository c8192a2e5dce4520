// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// features: what this kernel offers an array, and how members behind a network are reached:
// what would make an array wait, or let another host write to them.
#include <bpf/libbpf.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/version.h"
#include "cli/commands.h"
#include "engine/program.h"
#include "members/fabrics.h"
#include "members/member.h"
#include "members/reservation.h"
#include "members/scan.h"
#include "service/fence.h"
#include "service/leave_alone.h"
#include "service/paths.h"
#include "service/report.h"
#include "ublk/control.h"

namespace rr::cli {
namespace {

nlohmann::json feature(bool there, const std::string& why_not) {
    nlohmann::json out = {{"available", there}};
    if (!there)
        out["reason"] = why_not;
    return out;
}

nlohmann::json ublk_features() {
    auto control = ublk_control::open();
    if (!control)
        return feature(false, describe(control.error()));
    auto bits = control->features();
    if (!bits)
        return feature(false, describe(bits.error()));
    nlohmann::json out = feature(true, "");
    out["feature_bits"] = *bits;
    out["zero_copy"] = feature((*bits & UBLK_F_AUTO_BUF_REG) != 0, "AUTO_BUF_REG: Linux 6.16");
    out["recovery"] = feature((*bits & UBLK_F_USER_RECOVERY_REISSUE) != 0, "USER_RECOVERY_REISSUE");
    return out;
}

nlohmann::json describe_path(const fabrics_path& path) {
    return {{"controller", path.controller},
            {"transport", path.transport},
            {"address", path.address},
            {"subsystem", path.subsystem},
            {"state", path.state},
            {"fast_io_fail_tmo", path.fast_io_fail},
            {"ctrl_loss_tmo", path.ctrl_loss},
            {"waits", fabrics_wait(path)}};
}

// Whether who serves the array can keep other hosts from writing to it.
nlohmann::json reservation_feature(const std::string& path) {
    auto device = open_member(path, {.read_only = true});
    if (!device)
        return feature(false, describe(device.error()));
    auto found = reservations_of(device->fd.get())->read();
    if (found)
        return feature(true, "");
    return feature(false, lacks_reservations(found.error().err)
                              ? "nothing keeps another host from writing to it"
                              : describe(found.error()));
}

// Who reads where no connection is up waits for one.
bool is_reached(const std::vector<fabrics_path>& paths) {
    return std::ranges::any_of(paths,
                               [](const fabrics_path& path) { return path.state == "live"; });
}

nlohmann::json fabrics_members() {
    nlohmann::json out = nlohmann::json::array();
    scan_options how;
    how.leave_alone = arrays_and_dead_devices();
    how.wanted = [](const std::string& name) { return is_reached(fabrics_paths_of(name)); };
    for (const found_member& member : scan_members(how).members) {
        nlohmann::json controllers = nlohmann::json::array();
        for (const fabrics_path& path : fabrics_paths(member.device))
            controllers.push_back(path.controller);
        out.push_back({{"device", member.path},
                       {"array", short_name(member.superblock.set_name)},
                       {"controllers", controllers},
                       {"reservations", reservation_feature(member.path)}});
    }
    return out;
}

// Members behind a network: what the machine has to reach them, and by which paths it does.
nlohmann::json fabrics_features() {
    nlohmann::json out = feature(::access("/dev/nvme-fabrics", F_OK) == 0, "modprobe nvme-tcp");
    out["paths"] = nlohmann::json::array();
    for (const fabrics_path& path : all_fabrics_paths())
        out["paths"].push_back(describe_path(path));
    out["members"] = out["paths"].empty() ? nlohmann::json::array() : fabrics_members();
    return out;
}

nlohmann::json nvme_target_feature() {
    return feature(::access("/sys/module/nvmet_tcp", F_OK) == 0, "modprobe nvmet-tcp");
}

std::string words_of(const nlohmann::json& feature) {
    return feature.value("available", false) ? "yes" : "no, " + feature.value("reason", "");
}

void print_fabrics(const nlohmann::json& fabrics) {
    for (const auto& path : fabrics["paths"]) {
        const std::string limit = path.value("fast_io_fail_tmo", "");
        print_line(
            stdout, "{:>12} : {}, {}, {}, fast_io_fail_tmo {}{}", path.value("controller", ""),
            path.value("transport", ""), path.value("address", ""), path.value("state", ""), limit,
            limit == "off" ? fmt::format(": an array waits {} for it", path.value("waits", ""))
                           : "");
    }
    for (const auto& member : fabrics["members"])
        print_line(stdout, "{:>12} : {} of {}, reservations: {}", "member",
                   member.value("device", ""), member.value("array", ""),
                   words_of(member["reservations"]));
}

int features(const context& ctx) {
    utsname names{};
    ::uname(&names);
    libbpf_set_print(nullptr);
    std::string missing = bpf_host_missing();
    const bool has_xor = kernel_has_xor();
    nlohmann::json out = {{"schema", json_schema},
                          {"version", version},
                          {"kernel", names.release},
                          {"bpf_engine", feature(missing.empty(), missing)},
                          {"ublk", ublk_features()},
                          {"fabrics", fabrics_features()},
                          {"nvme_target", nvme_target_feature()},
                          {"xor", {{"kfunc", has_xor}, {"used", xor_name(has_xor)}}}};
    if (ctx.json) {
        print_json(out);
        return 0;
    }
    auto row = [](const char* label, const nlohmann::json& f) {
        print_line(stdout, "{:>12} : {}", label, words_of(f));
    };
    fmt::print("{:>12} : {}\n", "ringraid", version);
    fmt::print("{:>12} : {}\n", "kernel", names.release);
    row("bpf engine", out["bpf_engine"]);
    row("ublk", out["ublk"]);
    if (out["ublk"].contains("zero_copy")) {
        row("zero copy", out["ublk"]["zero_copy"]);
        row("recovery", out["ublk"]["recovery"]);
    }
    fmt::print("{:>12} : {}\n", "xor", out["xor"].value("used", ""));
    row("fabrics", out["fabrics"]);
    print_fabrics(out["fabrics"]);
    row("nvme target", out["nvme_target"]);
    return 0;
}

}  // namespace

void add_features(CLI::App& app, context& ctx) {
    CLI::App* command =
        app.add_subcommand("features", "what this kernel offers, and what it lacks");
    command->callback([&ctx] { ctx.run = [&ctx] { return features(ctx); }; });
}

}  // namespace rr::cli
