// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// examine: what is on a device; features: what this kernel offers.
#include <bpf/libbpf.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/version.h"
#include "cli/commands.h"
#include "engine/program.h"
#include "md/ppl.h"
#include "md/superblock.h"
#include "md/whitelist.h"
#include "members/fabrics.h"
#include "members/member.h"
#include "service/report.h"
#include "service/superblock_report.h"
#include "ublk/control.h"

namespace rr::cli {
namespace {

void print_member(const nlohmann::json& m) {
    print_line(stdout, "{}", m["device"].get<std::string>());
    for (const auto& [name, value] : superblock_lines(m))
        print_line(stdout, "{:>18} : {}", name, value);
}

// Where it names a log that this member can have one of.
void add_log(nlohmann::json& m, const member_device& device, const md::md_superblock& sb) {
    if ((sb.feature_map & md::ppl_features) == 0 || sb.role() >= sb.raid_disks ||
        !md::check_servable(sb))
        return;
    const rr_geometry geometry{
        sb.raid_disks, static_cast<uint32_t>(std::countr_zero(sb.chunk_sectors)), sb.layout};
    describe_ppl(
        m, md::read_ppl(device.fd.get(), sb, geometry, sb.role(), device.logical_block_bytes));
}

int examine(const context& ctx, const std::vector<std::string>& devices) {
    nlohmann::json out = {{"schema", json_schema}, {"devices", nlohmann::json::array()}};
    int code = 0;
    for (const std::string& path : devices) {
        open_options look;
        look.read_only = true;
        look.allow_regular_file = true;
        auto device = open_member(path, look);
        auto sb = device ? md::read_superblock(device->fd.get())
                         : Result<md::md_superblock>(forward_error(device.error()));
        if (!sb) {
            context text = ctx;
            text.json = false;
            code = print_error(text, sb.error());
            continue;
        }
        out["devices"].push_back(describe_superblock(*sb));
        out["devices"].back()["device"] = path;
        add_log(out["devices"].back(), *device, *sb);
        if (!ctx.json)
            print_member(out["devices"].back());
    }
    if (ctx.json)
        print_json(out);
    return code;
}

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

// Members behind a network: what the machine has to reach them, and by which paths it does.
nlohmann::json fabrics_features() {
    nlohmann::json out = feature(::access("/dev/nvme-fabrics", F_OK) == 0, "modprobe nvme-tcp");
    out["paths"] = nlohmann::json::array();
    for (const fabrics_path& path : all_fabrics_paths())
        out["paths"].push_back({{"controller", path.controller},
                                {"transport", path.transport},
                                {"address", path.address},
                                {"subsystem", path.subsystem},
                                {"state", path.state},
                                {"fast_io_fail_tmo", path.fast_io_fail}});
    return out;
}

void print_fabrics(const nlohmann::json& fabrics) {
    for (const auto& path : fabrics["paths"]) {
        const std::string limit = path.value("fast_io_fail_tmo", "");
        print_line(stdout, "{:>12} : {}, {}, {}, fast_io_fail_tmo {}{}",
                   path.value("controller", ""), path.value("transport", ""),
                   path.value("address", ""), path.value("state", ""), limit,
                   limit == "off" ? ": an array waits for ctrl_loss_tmo" : "");
    }
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
                          {"xor", {{"kfunc", has_xor}, {"used", xor_name(has_xor)}}}};
    if (ctx.json) {
        print_json(out);
        return 0;
    }
    auto row = [](const char* label, const nlohmann::json& f) {
        print_line(stdout, "{:>12} : {}", label,
                   f.value("available", false) ? "yes" : "no, " + f.value("reason", ""));
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
    return 0;
}

}  // namespace

void add_examine(CLI::App& app, context& ctx) {
    auto devices = std::make_shared<std::vector<std::string>>();
    CLI::App* command = app.add_subcommand("examine", "what a device's superblock says");
    command->add_option("devices", *devices, "member devices or images")->required();
    command->callback(
        [devices, &ctx] { ctx.run = [devices, &ctx] { return examine(ctx, *devices); }; });
}

void add_features(CLI::App& app, context& ctx) {
    CLI::App* command =
        app.add_subcommand("features", "what this kernel offers, and what it lacks");
    command->callback([&ctx] { ctx.run = [&ctx] { return features(ctx); }; });
}

}  // namespace rr::cli
