// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/start.h"

namespace rr::cli {
namespace {

struct assemble_flags {
    std::vector<std::string> devices;
    std::string uuid;
    std::string name;
    bool scan = false;
    bool force = false;
    bool degraded = false;
    start_flags start;
};

// "8:8:8:8" hex digits, as mdadm prints them; dashes are taken too.
Result<md::uuid> parse_uuid(const std::string& text) {
    md::uuid id{};
    size_t digits = 0;
    for (char c : text) {
        if (c == ':' || c == '-')
            continue;
        int value = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (value < 0 || digits >= 32)
            return fail(EINVAL, "{} is not a uuid", text);
        id[digits / 2] = static_cast<uint8_t>(id[digits / 2] << 4 | value);
        digits++;
    }
    if (digits != 32)
        return fail(EINVAL, "{} is not a uuid", text);
    return id;
}

struct found_array {
    md::uuid id;
    std::vector<std::string> devices;
};

bool is_meant(const md::md_superblock& sb, const md::assembly_options& options) {
    return (!options.set_uuid || *options.set_uuid == sb.set_uuid) &&
           (!options.name || *options.name == sb.set_name ||
            *options.name == short_name(sb.set_name));
}

// The arrays on all block devices, of those that are meant.
std::vector<found_array> scan_arrays(const md::assembly_options& options) {
    std::vector<found_array> out;
    // The device of a dead daemon answers no read: looking there would hang.
    std::vector<std::string> ours;
    for (const nlohmann::json& state : running_arrays())
        ours.push_back(state.value("block_device", ""));
    std::error_code failed;
    for (const auto& entry : std::filesystem::directory_iterator("/sys/class/block", failed)) {
        std::string path = "/dev/" + entry.path().filename().string();
        if (std::find(ours.begin(), ours.end(), path) != ours.end())
            continue;
        open_options look;
        look.read_only = true;
        auto device = open_member(path, look);
        if (!device)
            continue;
        auto sb = md::read_superblock(device->fd.get());
        if (!sb || sb->level != md::level_raid5 || !is_meant(*sb, options))
            continue;
        auto known = std::find_if(out.begin(), out.end(),
                                  [&](const found_array& a) { return a.id == sb->set_uuid; });
        if (known == out.end())
            known = out.insert(out.end(), {sb->set_uuid, {}});
        known->devices.push_back(path);
    }
    return out;
}

int assemble_one(const context& ctx, const service_options& options, bool foreground) {
    if (Status ok = resync_if_needed(options); !ok)
        return print_error(ctx, ok.error());
    return start_array(ctx, options, foreground);
}

int assemble_found(const context& ctx, const service_options& options, bool foreground) {
    std::vector<found_array> arrays = scan_arrays(options.assembly);
    if (arrays.empty())
        return print_error(ctx, Error{ENODEV, "no device holds such an array",
                                      "ringraid examine DEVICE shows what one holds"});
    if (arrays.size() > 1 && foreground)
        return print_error(ctx, Error{EINVAL, "several arrays are there",
                                      "one process serves one: use --uuid or --name"});
    int worst = 0;
    for (const found_array& found : arrays) {
        service_options one = options;
        one.devices = found.devices;
        one.assembly.set_uuid = found.id;
        one.assembly.name.reset();
        worst = std::max(worst, assemble_one(ctx, one, foreground));
    }
    return worst;
}

int assemble(const context& ctx, const assemble_flags& flags) {
    auto options = flags.start.options();
    if (!options)
        return print_error(ctx, options.error());
    options->assembly.force = flags.force;
    options->assembly.degraded = flags.degraded;
    if (!flags.uuid.empty()) {
        auto id = parse_uuid(flags.uuid);
        if (!id)
            return print_error(ctx, id.error());
        options->assembly.set_uuid = *id;
    }
    if (!flags.name.empty())
        options->assembly.name = flags.name;
    if (!flags.devices.empty()) {
        options->devices = flags.devices;
        return assemble_one(ctx, *options, flags.start.foreground);
    }
    if (flags.uuid.empty() && flags.name.empty() && !flags.scan)
        return print_error(ctx, Error{EINVAL, "which array?",
                                      "name its devices, or use --uuid, --name or --scan"});
    return assemble_found(ctx, *options, flags.start.foreground);
}

}  // namespace

void add_assemble(CLI::App& app, context& ctx) {
    auto flags = std::make_shared<assemble_flags>();
    CLI::App* command =
        app.add_subcommand("assemble", "serve an array that exists, also after a crash");
    command->add_option("devices", flags->devices, "its members, in any order");
    command->add_option("--uuid", flags->uuid, "the array's uuid");
    command->add_option("--name", flags->name, "the array's name");
    command->add_flag("--scan", flags->scan, "look at every block device");
    command->add_flag("--force", flags->force,
                      "start a dirty array with a missing member or unreadable sectors");
    command->add_flag("--degraded", flags->degraded,
                      "start without members that are not here: they are then out of the array");
    flags->start.add_to(*command);
    command->callback([flags, &ctx] { ctx.run = [flags, &ctx] { return assemble(ctx, *flags); }; });
}

}  // namespace rr::cli
