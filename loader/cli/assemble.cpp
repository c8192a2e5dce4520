// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/settings.h"
#include "cli/start.h"
#include "cli/unit.h"
#include "members/scan.h"
#include "members/spelling.h"
#include "members/watch.h"
#include "service/home_host.h"
#include "service/leave_alone.h"
#include "ublk/offline_guard.h"

namespace rr::cli {
namespace {

// For members that are late; a boot's disks come within seconds of each other.
constexpr unsigned wait_most_s = 24 * 60 * 60;
constexpr int status_ms = 5000;

struct assemble_flags {
    std::vector<std::string> devices;
    std::string uuid;
    std::string name;
    std::string homehost;
    std::optional<unsigned> wait;  // seconds
    bool any_host = false;
    bool unattended = false;
    bool scan = false;
    bool force = false;
    bool degraded = false;
    bool force_new = false;
    bool take_over = false;
    start_flags start;
};

// What the members that are here say of their array.
struct outlook {
    bool late = false;  // the array counts on one that is not here
    size_t lacks = 0;   // how many of them
    size_t members = 0;
    bool loses_nothing = false;  // a start without it
    std::string name;
    std::string uuid;
};

// Looks at the superblocks of those of @paths that are there. What makes an array
// impossible is no reason to wait: the start says it.
outlook look_ahead(const std::vector<std::string>& paths, md::assembly_options how) {
    std::vector<md::candidate> candidates;
    for (const std::string& path : paths) {
        auto device = open_member(path, {.read_only = true});
        if (!device)
            continue;
        candidates.push_back({path, device->sectors, md::read_superblock(device->fd.get())});
    }
    how.degraded = how.force = true;
    auto plan = md::plan_assembly(candidates, how);
    outlook out;
    if (!plan) {
        out.late = plan.error().err == ENODEV;
        return out;
    }
    out.late = !plan->late.empty();
    out.lacks = plan->late.size();
    out.members = plan->geometry.members;
    out.loses_nothing = plan->clean || plan->has_ppl;
    out.name = plan->name;
    out.uuid = md::to_string(plan->set_uuid);
    return out;
}

// The one set that these devices are of.
std::optional<md::uuid> set_of(const std::vector<std::string>& paths) {
    std::set<md::uuid> found;
    for (const std::string& path : paths) {
        auto device = open_member(path, {.read_only = true});
        auto sb = device ? md::read_superblock(device->fd.get()) : forward_error(device.error());
        if (sb)
            found.insert(sb->set_uuid);
    }
    return found.size() == 1 ? std::optional(*found.begin()) : std::nullopt;
}

// Whether a daemon serves the array, or did until it was killed.
enum class service_state { none, dead, alive };

service_state state_of(const md::uuid& id) {
    auto answer = ask_array(md::to_string(id), {{"command", "status"}}, status_ms);
    if (answer)
        return service_state::alive;
    switch (answer.error().err) {
        case ENOENT:
            return service_state::none;
        case EOWNERDEAD:
            return service_state::dead;
        default:
            return service_state::alive;
    }
}

// How the array that is called so is started.
Result<service_options> options_for(const assemble_flags& flags, const std::string& name,
                                    const std::string& uuid) {
    auto options = flags.start.options(name, uuid);
    if (!options)
        return options;
    options->assembly.force = flags.force;
    options->assembly.degraded = flags.degraded;
    options->force_new = flags.force_new;
    options->take_over = flags.take_over;
    if (!flags.uuid.empty()) {
        auto id = md::parse_uuid(flags.uuid);
        if (!id)
            return forward_error(id.error());
        options->assembly.set_uuid = *id;
    }
    if (!flags.name.empty())
        options->assembly.name = flags.name;
    return options;
}

// Seconds: as told, or as configured for the array that is called so. Devices that are
// named are there, as a rule.
unsigned wait_of(const assemble_flags& flags, const std::string& name, const std::string& uuid) {
    const setting set = machine_config().array(name, uuid).at("wait");
    if (flags.wait || (!flags.devices.empty() && set.from.empty()))
        return flags.wait.value_or(0);
    return static_cast<unsigned>(std::stoul(set.value));
}

// For the unit that starts it: what holds for this start only is said once.
start_words words_of(const assemble_flags& flags) {
    start_words words = flags.start.words_for_unit();
    if (flags.force)
        words.once += " --force";
    if (flags.degraded)
        words.once += " --degraded";
    if (flags.force_new)
        words.once += " --force-new";
    if (flags.take_over)
        words.once += " --take-over";
    if (flags.start.wait)
        words.once += " --parity-first";
    return words;
}

// A member did not come, and whoever asks has not said that it may lack. The unit would
// go without it; here the start says what can be done.
bool must_be_refused(const outlook& ahead, const md::assembly_options& how, service_state served) {
    return ahead.late && !how.degraded && !how.force && served != service_state::dead;
}

// Named devices: those that are not there yet are waited for when asked.
int assemble_named(const context& ctx, const assemble_flags& flags, service_options options) {
    for (const std::string& device : flags.devices)
        options.devices.push_back(absolute_path(device));
    device_watch watch(options.devices, {});
    outlook ahead;
    do {
        ahead = look_ahead(options.devices, options.assembly);
        watch.be_patient(std::chrono::seconds(wait_of(flags, ahead.name, ahead.uuid)));
    } while (ahead.late && watch.changed());
    auto own = options_for(flags, ahead.name, ahead.uuid);
    if (!own)
        return print_error(ctx, own.error());
    own->devices = options.devices;
    // Who names some, and wants no others, gets no others.
    own->only_named = flags.degraded;
    // The unit finds the members by itself. What it would not find, or not as it is asked
    // for here, is served from here, or refused.
    const auto id = set_of(own->devices);
    if (id && !own->only_named)
        own->assembly.set_uuid = id;
    start_words words = words_of(flags);
    words.by_unit = words.by_unit && own->assembly.set_uuid &&
                    !must_be_refused(ahead, own->assembly, state_of(*own->assembly.set_uuid));
    return start_array(ctx, *own, words);
}

struct found_array {
    md::uuid id;
    std::string name;
    std::vector<std::string> devices;
    std::vector<std::string> held;  // members that are there and cannot be had
};

// Arrays that are found on the machine's devices, as they appear.
class array_finder {
public:
    array_finder(const context& ctx, const assemble_flags& flags, service_options options)
        : ctx_(ctx),
          flags_(flags),
          options_(std::move(options)),
          host_(home_host(flags.homehost)),
          wait_s_(wait_of(flags, flags.name, flags.uuid)),
          watch_({}, std::chrono::seconds(wait_s_)),
          words_(words_of(flags)) {}

    int run() {
        bool said = false;
        while (!look()) {
            if (!said && wait_s_ != 0)
                print_line(stderr, "ringraid: waiting up to {} s for late disks", wait_s_);
            ctx_.manager.status(waits_for_);
            said = true;
            if (!watch_.changed())
                break;
        }
        waiting_ = false;
        look();
        for (const auto& [path, why] : passed_)
            print_line(stderr, "ringraid: {}", why);
        if (done_.empty())
            return print_error(ctx_, Error{ENODEV, "no device holds such an array",
                                           "ringraid examine DEVICE shows what one holds"});
        return worst_;
    }

private:
    // One array is meant, by its uuid or name: it is served whosever it is.
    [[nodiscard]] bool is_asked_for() const { return !flags_.scan; }

    // Somebody looks at the outcome and can ask for more.
    [[nodiscard]] bool is_attended() const { return is_asked_for() && !flags_.unattended; }

    [[nodiscard]] bool is_meant(const md::md_superblock& sb) const {
        const md::assembly_options& how = options_.assembly;
        return sb.level == md::level_raid5 && (!how.set_uuid || *how.set_uuid == sb.set_uuid) &&
               (!how.name || *how.name == sb.set_name || *how.name == short_name(sb.set_name));
    }

    std::vector<found_array> find() {
        std::vector<found_array> out;
        // The look at ublk devices makes a ring.
        std::optional<offline_guard> guard;
        if (!running_arrays().empty())
            guard.emplace();
        if (Status ok = guard ? guard->try_ring() : Status{}; !ok) {
            worst_ = print_error(ctx_, ok.error());
            return out;
        }
        scan_options how;
        how.leave_alone = arrays_and_dead_devices();
        scan_result scan = scan_members(how);
        passed_.clear();
        for (passed_device& device : scan.passed)
            passed_[device.path] = describe(device.why);
        for (const found_member& member : scan.members) {
            if (!is_meant(member.superblock))
                continue;
            auto known = std::find_if(out.begin(), out.end(), [&](const found_array& a) {
                return a.id == member.superblock.set_uuid;
            });
            if (known == out.end())
                known = out.insert(
                    out.end(), {member.superblock.set_uuid, member.superblock.set_name, {}, {}});
            known->devices.push_back(member.path);
        }
        for (found_array& array : out) {
            for (const passed_device& device : held_members(scan, array.id))
                array.held.push_back(device.path);
        }
        return out;
    }

    // Who asks by uuid, as the unit does, may have a section by name, and the other way
    // round: the array itself has both.
    void take_wait_of(const std::vector<found_array>& arrays) {
        if (!is_asked_for() || arrays.size() != 1)
            return;
        wait_s_ = wait_of(flags_, arrays[0].name, md::to_string(arrays[0].id));
        watch_.be_patient(std::chrono::seconds(wait_s_));
    }

    // Starts what can be started; true when there is nothing to wait for.
    bool look() {
        const std::vector<found_array> arrays = find();
        take_wait_of(arrays);
        // What is asked for may be all late; of a scan only who says so knows of
        // more.
        bool all = !arrays.empty() || worst_ != 0 || (!is_asked_for() && !flags_.wait);
        if (arrays.size() > 1 && flags_.start.foreground) {
            done_.insert(arrays[0].id);
            worst_ = print_error(ctx_, Error{EINVAL, "several arrays are there",
                                             "one process serves one: use --uuid or --name"});
            return true;
        }
        for (const found_array& found : arrays) {
            if (!done_.contains(found.id) && !try_to_start(found))
                all = false;
            else
                done_.insert(found.id);
        }
        return all;
    }

    bool pass(const found_array& found, const std::string& why) const {
        print_line(stderr, "ringraid: array {} ({}) is left alone: {}", found.name,
                   md::to_string(found.id), why);
        return true;
    }

    // False: a member is late, and there is time.
    bool try_to_start(const found_array& found) {
        if (!is_asked_for() && !flags_.any_host && !is_at_home(found.name, host_))
            return pass(found, "it is another host's; --any-host or its --uuid starts it");
        const service_state served = state_of(found.id);
        if (!is_asked_for() && served == service_state::alive)
            return pass(found, "it is being served");
        if (!is_asked_for() && served == service_state::none &&
            std::ranges::all_of(found.devices, is_held))
            return pass(found, "its devices are in use");
        auto own = options_for(flags_, found.name, md::to_string(found.id));
        if (!own) {
            worst_ = std::max(worst_, print_error(ctx_, own.error()));
            return true;
        }
        service_options one = std::move(*own);
        one.devices = found.devices;
        one.assembly.set_uuid = found.id;
        one.assembly.name.reset();
        const outlook ahead = look_ahead(one.devices, one.assembly);
        const bool may_lack = one.assembly.degraded || one.assembly.force;
        if (ahead.late && !may_lack && waiting_) {
            waits_for_ = fmt::format("waiting for {} of {} members of {}", ahead.lacks,
                                     ahead.members, short_name(found.name));
            return false;
        }
        start_words words = words_;
        // Nobody is there to be asked; and nothing is lost that cannot be added again. The unit
        // would wait anew.
        if (ahead.late && !may_lack && !found.held.empty())
            print_line(stderr, "ringraid: array {} is not started without {}, which is in use",
                       found.name, found.held[0]);
        else if (ahead.late && !may_lack && !is_attended() &&
                 (ahead.loses_nothing || served == service_state::dead)) {
            one.assembly.degraded = true;
            words.once += " --degraded";
            print_line(stderr, "ringraid: array {}: a member did not come; starting without it",
                       found.name);
        }
        words.by_unit =
            words.by_unit && !(is_attended() && must_be_refused(ahead, one.assembly, served));
        worst_ = std::max(worst_, start_array(ctx_, one, words));
        return true;
    }

    const context& ctx_;
    const assemble_flags& flags_;
    service_options options_;
    std::string host_;
    unsigned wait_s_;
    device_watch watch_;
    bool waiting_ = true;
    std::string waits_for_ = "waiting for disks";
    start_words words_;
    std::set<md::uuid> done_;
    std::map<std::string, std::string> passed_;  // why, by path
    int worst_ = 0;
};

int assemble(const context& ctx, const assemble_flags& flags) {
    auto options = options_for(flags, flags.name, flags.uuid);
    if (!options)
        return print_error(ctx, options.error());
    if (!flags.devices.empty())
        return assemble_named(ctx, flags, *options);
    if (flags.uuid.empty() && flags.name.empty() && !flags.scan)
        return print_error(ctx, Error{EINVAL, "which array?",
                                      "name its devices, or use --uuid, --name or --scan"});
    return array_finder(ctx, flags, *options).run();
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
    command
        ->add_option("--wait", flags->wait,
                     "seconds to wait for late members (default: as configured, 30; for "
                     "named devices 0)")
        ->check(CLI::Range(0U, wait_most_s));
    command->add_option("--homehost", flags->homehost,
                        "whose arrays --scan starts (default: this machine's name)");
    command->add_flag("--any-host", flags->any_host, "--scan starts other hosts' arrays, too");
    command->add_flag("--unattended", flags->unattended,
                      "nobody looks, as in a unit: after the wait start without late members "
                      "where nothing is lost by that");
    command->add_flag("--force", flags->force,
                      "start a dirty array with a missing member or unreadable sectors");
    command->add_flag("--degraded", flags->degraded,
                      "start without members that are not here: they are then "
                      "out of the array");
    command->add_flag("--force-new", flags->force_new,
                      "give up what a dead daemon was writing, and start anew");
    command->add_flag("--take-over", flags->take_over,
                      "from another host that has reserved the members: it is fenced");
    flags->start.add_to(*command);
    command->callback([flags, &ctx] { ctx.run = [flags, &ctx] { return assemble(ctx, *flags); }; });
}

}  // namespace rr::cli
