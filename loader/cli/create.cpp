// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <cerrno>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/start.h"
#include "service/home_host.h"
#include "ringraid/abi.h"

namespace rr::cli {
namespace {

struct create_flags {
    std::string name;
    std::vector<std::string> devices;
    std::string chunk = "512K";
    std::string layout = "left-symmetric";
    std::string size;
    bool assume_clean = false;
    bool force = false;
    bool no_start = false;
    start_flags start;
};

const std::map<std::string, uint32_t> layouts = {{"left-asymmetric", RR_LEFT_ASYMMETRIC},
                                                 {"right-asymmetric", RR_RIGHT_ASYMMETRIC},
                                                 {"left-symmetric", RR_LEFT_SYMMETRIC},
                                                 {"right-symmetric", RR_RIGHT_SYMMETRIC}};

Result<std::vector<md::md_superblock>> new_superblocks(const create_flags& flags,
                                                       const std::vector<member_device>& members) {
    md::new_array spec;
    auto chunk = parse_bytes(flags.chunk);
    if (!chunk)
        return forward_error(chunk.error());
    if (*chunk % (1U << RR_SECTOR_SHIFT) != 0 || *chunk > uint64_t{RR_CHUNK_SECTORS_MAX}
                                                              << RR_SECTOR_SHIFT)
        return with_hint(fail(EINVAL, "a chunk of {} bytes", *chunk),
                         "use a power of two from 4K to 1M");
    spec.host = home_host();
    spec.name = flags.name;
    spec.layout = layouts.at(flags.layout);
    spec.chunk_sectors = static_cast<uint32_t>(*chunk >> RR_SECTOR_SHIFT);
    spec.clean = flags.assume_clean;
    for (const member_device& m : members)
        spec.member_sectors.push_back(m.sectors);
    if (!flags.size.empty()) {
        auto size = parse_bytes(flags.size);
        if (!size)
            return forward_error(size.error());
        if (*size == 0 || *size % (1U << RR_SECTOR_SHIFT) != 0)
            return with_hint(fail(EINVAL, "a size of {} bytes", *size),
                             "use whole sectors of 512 bytes");
        spec.size_limit = *size >> RR_SECTOR_SHIFT;
    }
    return md::make_new(spec);
}

int create(const context& ctx, const create_flags& flags) {
    auto options = flags.start.options();
    if (!options)
        return print_error(ctx, options.error());
    options->devices = flags.devices;
    options->create = creation{[flags](const std::vector<member_device>& members) {
                                   return new_superblocks(flags, members);
                               },
                               flags.force, !flags.no_start};
    return start_array(ctx, *options);
}

}  // namespace

void add_create(CLI::App& app, context& ctx) {
    auto flags = std::make_shared<create_flags>();
    CLI::App* command = app.add_subcommand("create", "make a new array and serve it");
    command->add_option("name", flags->name, "the array's name")->required();
    command->add_option("devices", flags->devices, "3 to 16 member devices")
        ->required()
        ->expected(3, 16);
    command->add_option("--chunk", flags->chunk, "4K to 1M, a power of two (default 512K)");
    command->add_option("--layout", flags->layout, "md's layout (default left-symmetric)")
        ->check(CLI::IsMember(
            {"left-symmetric", "left-asymmetric", "right-symmetric", "right-asymmetric"}));
    command->add_option("--size", flags->size, "bytes to use of each member (default: all)");
    command->add_flag("--assume-clean", flags->assume_clean,
                      "trust that parity is right already (all members zero)");
    command->add_flag("--force", flags->force, "overwrite what is on the devices");
    command->add_flag("--no-start", flags->no_start, "do not serve it");
    flags->start.add_to(*command);
    command->callback([flags, &ctx] { ctx.run = [flags, &ctx] { return create(ctx, *flags); }; });
}

}  // namespace rr::cli
