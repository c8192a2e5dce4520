// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <algorithm>
#include <cerrno>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/settings.h"
#include "cli/start.h"
#include "cli/unit.h"
#include "base/text.h"
#include "service/home_host.h"
#include "service/limits.h"
#include "ringraid/abi.h"

namespace rr::cli {
namespace {

struct create_flags {
    std::string name;
    std::vector<std::string> devices;
    std::string chunk;
    std::string layout = "left-symmetric";
    std::string size;
    std::string bitmap_chunk;
    bool no_bitmap = false;
    std::vector<std::string> consistency;  // as given
    bool assume_clean = false;
    bool write_zeroes = false;
    bool force = false;
    bool no_start = false;
    start_flags start;
};

const std::map<std::string, uint32_t> layouts = {{"left-asymmetric", RR_LEFT_ASYMMETRIC},
                                                 {"right-asymmetric", RR_RIGHT_ASYMMETRIC},
                                                 {"left-symmetric", RR_LEFT_SYMMETRIC},
                                                 {"right-symmetric", RR_RIGHT_SYMMETRIC}};

constexpr uint64_t chunk_default = 512 * 1024;

// A chunk with which a full stripe is one request, unless another is asked for.
Result<uint64_t> chunk_bytes(const create_flags& flags) {
    if (flags.chunk.empty())
        return std::min<uint64_t>(chunk_default,
                                  chunk_bytes_max(static_cast<uint32_t>(flags.devices.size())));
    auto chunk = parse_bytes(flags.chunk);
    if (!chunk)
        return forward_error(chunk.error());
    if (*chunk % (1U << RR_SECTOR_SHIFT) != 0 || *chunk > uint64_t{RR_CHUNK_SECTORS_MAX}
                                                              << RR_SECTOR_SHIFT)
        return with_hint(fail(EINVAL, "a chunk of {} bytes", *chunk),
                         "use a power of two from 4K to 1M");
    return chunk;
}

// What the number of members makes of the chunk, for whoever does not know.
void say_chunk(const create_flags& flags, uint64_t chunk) {
    const auto members = static_cast<uint32_t>(flags.devices.size());
    const uint64_t most = chunk_bytes_max(members);
    if (chunk > most)
        print_line(stderr,
                   "ringraid: with chunks of {1} a full stripe of {0} members is longer than a "
                   "request, so every write reads first; not with --chunk {2}K or less",
                   members, human_bytes(chunk), most / 1024);
    else if (flags.chunk.empty() && chunk != chunk_default)
        print_line(stderr, "ringraid: chunks of {}, so that a full stripe of {} is one request",
                   human_bytes(chunk), human_bytes(chunk * (members - 1)));
}

bool parity_is_right(const create_flags& flags) {
    return flags.assume_clean || flags.write_zeroes;
}

// Of a new array of that name, where the command line does not say. Who wants members taken
// back by what they missed wants it known, which a log does not.
md::consistency usual_consistency(const std::string& name) {
    const settings_map set = machine_config().array(name, "");
    return md::parse_consistency(set.at("consistency").value)
        .value_or(set.at("re-add").value == "yes" ? md::consistency::bitmap : default_consistency);
}

// What it is to have in the end.
Result<md::consistency> wanted_consistency(const create_flags& flags) {
    if (flags.no_bitmap)
        return md::consistency::resync;
    if (flags.consistency.empty())
        return flags.bitmap_chunk.empty() ? usual_consistency(flags.name) : md::consistency::bitmap;
    const auto& words = flags.consistency;
    if (std::ranges::any_of(words, [&](const auto& word) { return word != words.front(); }))
        return fail(EINVAL, "--consistency is given as {} and as {}", words.front(), words.back());
    const auto policy = md::parse_consistency(words.front());
    if (policy == md::consistency::resync && words.size() < 2)
        return resync_said_once("--consistency resync");
    return policy ? Result<md::consistency>(*policy)
                  : fail(EINVAL, "--consistency {}: ppl, bitmap or resync", words.front());
}

// A log is of use from the moment that parity is right; a bitmap is until then.
md::consistency first_consistency(const create_flags& flags, md::consistency wanted) {
    return wanted == md::consistency::ppl && !parity_is_right(flags) ? md::consistency::bitmap
                                                                     : wanted;
}

Result<std::vector<md::md_superblock>> new_superblocks(const create_flags& flags,
                                                       md::consistency policy,
                                                       const std::vector<member_device>& members) {
    md::new_array spec;
    auto chunk = chunk_bytes(flags);
    if (!chunk)
        return forward_error(chunk.error());
    spec.host = home_host();
    spec.name = flags.name;
    spec.layout = layouts.at(flags.layout);
    spec.chunk_sectors = static_cast<uint32_t>(*chunk >> RR_SECTOR_SHIFT);
    spec.clean = parity_is_right(flags);
    spec.policy = policy;
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
    auto options = flags.start.options(flags.name);
    if (!options)
        return print_error(ctx, options.error());
    if (auto chunk = chunk_bytes(flags))
        say_chunk(flags, *chunk);
    options->devices = flags.devices;
    auto bitmap_chunk =
        flags.bitmap_chunk.empty() ? Result<uint64_t>(0) : parse_bitmap_chunk(flags.bitmap_chunk);
    if (!bitmap_chunk)
        return print_error(ctx, bitmap_chunk.error());
    auto wanted = wanted_consistency(flags);
    if (!wanted)
        return print_error(ctx, wanted.error());
    if (*wanted == md::consistency::resync)
        print_line(stderr,
                   "ringraid: without a log or a bitmap all parity is recomputed after a "
                   "crash");
    const md::consistency first = first_consistency(flags, *wanted);
    options->create = creation{.superblocks =
                                   [flags, first](const std::vector<member_device>& members) {
                                       return new_superblocks(flags, first, members);
                                   },
                               .force = flags.force,
                               .serve = !flags.no_start,
                               .write_zeroes = flags.write_zeroes,
                               .log_wanted = first != *wanted,
                               .bitmap_chunk_sectors = *bitmap_chunk >> RR_SECTOR_SHIFT};
    return start_array(ctx, *options, flags.start.words_for_unit());
}

}  // namespace

void add_create(CLI::App& app, context& ctx) {
    auto flags = std::make_shared<create_flags>();
    CLI::App* command = app.add_subcommand("create", "make a new array and serve it");
    command->add_option("name", flags->name, "the array's name")->required();
    command->add_option("devices", flags->devices, "3 to 16 member devices")
        ->required()
        ->expected(3, 16);
    command->add_option("--chunk", flags->chunk,
                        "4K to 1M, a power of two (default 512K, less from 10 members on)");
    command->add_option("--layout", flags->layout, "md's layout (default left-symmetric)")
        ->check(CLI::IsMember(
            {"left-symmetric", "left-asymmetric", "right-symmetric", "right-asymmetric"}));
    command->add_option("--size", flags->size, "bytes to use of each member (default: all)");
    command->add_option("--bitmap-chunk", flags->bitmap_chunk,
                        "bytes of a member for a bit of the bitmap (default 64M)");
    command
        ->add_option("--consistency", flags->consistency,
                     "after a crash: ppl, bitmap, or resync, said twice")
        ->check(CLI::IsMember({"ppl", "bitmap", "resync"}))
        ->allow_extra_args(false);
    command->add_flag("--no-bitmap", flags->no_bitmap, "neither bitmap nor log")
        ->excludes("--consistency");
    command->add_flag("--assume-clean", flags->assume_clean,
                      "trust that parity is right already (all members zero)");
    command
        ->add_flag("--write-zeroes", flags->write_zeroes,
                   "have the members zero themselves first: parity is right then")
        ->excludes("--assume-clean");
    command->add_flag("--wait", flags->start.wait, "return when parity is right");
    command->add_flag("--force", flags->force, "overwrite what is on the devices");
    command->add_flag("--no-start", flags->no_start, "do not serve it");
    flags->start.add_to(*command);
    command->callback([flags, &ctx] { ctx.run = [flags, &ctx] { return create(ctx, *flags); }; });
}

}  // namespace rr::cli
