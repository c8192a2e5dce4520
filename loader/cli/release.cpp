// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// ringraid release ARRAY: back to md. The other way round is `ringraid assemble`.
//
// An array is ringraid's on a machine while it is in the list of service/ownership.h. It is
// taken out there when nothing of it is left to be done by ringraid: no daemon has it, none
// died with it, and its superblocks say clean, so that md neither recomputes parity nor
// refuses it. The list first, durable; then udev looks at the disks anew, so that what asks
// udev sees members of md. Nothing on them is changed.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/unit.h"
#include "members/member.h"
#include "members/scan.h"
#include "service/leave_alone.h"
#include "service/ownership.h"
#include "service/predecessor.h"
#include "service/report.h"

namespace rr::cli {
namespace {

struct release_flags {
    std::string array;
    bool force = false;
};

struct members_found {
    std::vector<std::string> paths;
    std::vector<md::candidate> candidates;
    std::string name;
};

bool is_called(const md::md_superblock& superblock, const std::string& array) {
    auto id = md::parse_uuid(array);
    const std::string& name = superblock.set_name;
    return id ? superblock.set_uuid == *id : array == name || array == short_name(name);
}

// By uuid: a name may be that of several.
std::map<md::uuid, members_found> sets_of(const scan_result& scan, const std::string& array) {
    std::map<md::uuid, members_found> sets;
    for (const found_member& member : scan.members) {
        if (!is_called(member.superblock, array))
            continue;
        members_found& set = sets[member.superblock.set_uuid];
        set.paths.push_back(member.path);
        set.candidates.push_back({member.path, member.sectors, member.superblock});
        set.name = member.superblock.set_name;
    }
    return sets;
}

// Something is made of a member already: md, as a rule.
Status refuse_taken(const scan_result& scan, const std::string& array) {
    for (const passed_device& device : scan.passed) {
        if (!device.superblock || !is_called(*device.superblock, array))
            continue;
        // A path below a map carries what the map carries.
        const md::uuid& id = device.superblock->set_uuid;
        const auto held = held_members(scan, id);
        if (!held.empty())
            return with_hint(fail(EBUSY, "{}", held[0].why.what),
                             is_owned(id) ? "stop that (md: mdadm --stop), then release it"
                                          : "the array is not ringraid's on this machine: there "
                                            "is nothing to release");
    }
    return {};
}

Status refuse_running(const std::string& array) {
    auto id = md::parse_uuid(array);
    const std::string uuid = id ? md::to_string(*id) : array;
    for (const nlohmann::json& state : running_arrays()) {
        const std::string name = state.value("name", "");
        if (uuid == state.value("uuid", "") || array == name || array == short_name(name) ||
            array == state.value("block_device", ""))
            return with_hint(
                fail(EBUSY, "{} is being served, or waits for a successor", short_name(name)),
                fmt::format("ringraid stop {} first", printable(short_name(name))));
    }
    return {};
}

// What md would make of them.
Status check_clean(const members_found& set, bool force) {
    md::assembly_options how;
    how.degraded = how.force = true;
    auto plan = md::plan_assembly(set.candidates, how);
    if (!plan)
        return forward_error(plan.error());
    if (!plan->clean && !force)
        return with_hint(fail(EUCLEAN, "{} was not stopped cleanly", short_name(set.name)),
                         "ringraid assemble, then ringraid stop; or --force, and md recomputes "
                         "its parity");
    for (const std::string& path : set.paths) {
        if (is_held(path))
            return with_hint(fail(EBUSY, "{} is in use", path), "look for its owner with lsblk");
    }
    return {};
}

// What is known of the disks is from before.
void ask_udev(const std::vector<std::string>& paths) {
    if (::access("/run/udev/control", F_OK) != 0)
        return;
    std::vector<std::string> words = {"udevadm", "trigger", "--action=change", "--settle"};
    for (const std::string& path : paths)
        words.push_back("--name-match=" + path);
    std::vector<char*> pointers;
    for (std::string& word : words)
        pointers.push_back(word.data());
    pointers.push_back(nullptr);
    pid_t child = 0;
    if (::posix_spawnp(&child, "udevadm", nullptr, nullptr, pointers.data(), environ) != 0)
        return;
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
}

std::string mdadm_line(const md::uuid& id, const members_found& set) {
    std::string line = fmt::format("mdadm --assemble /dev/md/{} --uuid={}",
                                   printable(short_name(set.name)), md::to_string(id));
    for (const std::string& path : set.paths)
        line += ' ' + path;
    return line;
}

int release(const context& ctx, const release_flags& flags) {
    if (Status ok = refuse_running(flags.array); !ok)
        return print_error(ctx, ok.error());
    scan_options around;
    around.leave_alone = arrays_and_dead_devices();
    const scan_result scan = scan_members(around);
    if (Status ok = refuse_taken(scan, flags.array); !ok)
        return print_error(ctx, ok.error());
    const auto sets = sets_of(scan, flags.array);
    if (sets.size() != 1)
        return print_error(ctx, sets.empty()
                                    ? Error{ENOENT, "no disk here is of " + flags.array,
                                            "ringraid examine DEVICE says what is on one"}
                                    : Error{EINVAL, "several arrays are called " + flags.array,
                                            "name its uuid: ringraid examine DEVICE"});
    const auto& [id, set] = *sets.begin();
    if (Status ok = check_clean(set, flags.force); !ok)
        return print_error(ctx, ok.error());
    const bool was_ours = is_owned(id);
    if (Status ok = disown_array(id); !ok)
        return print_error(ctx, ok.error());
    ask_udev(set.paths);
    if (ctx.json) {
        print_json({{"schema", json_schema},
                    {"ok", true},
                    {"name", set.name},
                    {"uuid", md::to_string(id)},
                    {"was_listed", was_ours},
                    {"devices", set.paths},
                    {"mdadm", mdadm_line(id, set)}});
        return 0;
    }
    print_line(
        stdout, "{} {}", short_name(set.name),
        was_ours ? "is md's on this machine from now on" : "was not ringraid's on this machine");
    print_line(stdout, "{}", mdadm_line(id, set));
    return 0;
}

}  // namespace

void add_release(CLI::App& app, context& ctx) {
    auto flags = std::make_shared<release_flags>();
    CLI::App* command =
        app.add_subcommand("release", "give a stopped array back to md on this machine");
    command->add_option("array", flags->array, "name or uuid")->required();
    command->add_flag("--force", flags->force, "although it was not stopped cleanly");
    command->callback([flags, &ctx] { ctx.run = [flags, &ctx] { return release(ctx, *flags); }; });
}

}  // namespace rr::cli
