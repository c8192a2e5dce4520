// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// examine: what is on a device.
#include <bit>
#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/commands.h"
#include "md/ppl.h"
#include "md/superblock.h"
#include "md/whitelist.h"
#include "members/member.h"
#include "service/report.h"
#include "service/superblock_report.h"

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

}  // namespace

void add_examine(CLI::App& app, context& ctx) {
    auto devices = std::make_shared<std::vector<std::string>>();
    CLI::App* command = app.add_subcommand("examine", "what a device's superblock says");
    command->add_option("devices", *devices, "member devices or images")->required();
    command->callback(
        [devices, &ctx] { ctx.run = [devices, &ctx] { return examine(ctx, *devices); }; });
}

}  // namespace rr::cli
