// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/predecessor.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/io.h"
#include "base/log.h"
#include "engine/layout.h"
#include "engine/redo.h"
#include "members/scan.h"
#include "service/closing.h"
#include "service/events.h"
#include "service/heritage.h"
#include "service/leave_alone.h"
#include "service/name_link.h"
#include "service/parity_log.h"
#include "service/report.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {
namespace {

namespace fs = std::filesystem;

// A killed daemon's commands may be in flight for as long as the NVMe driver takes
// to abort one and to reset the controller, 30 s each.
constexpr auto dying_wait = std::chrono::seconds(90);
constexpr auto dying_poll = std::chrono::milliseconds(20);
// Until the kernel has seen that a device's daemon is dead.
constexpr auto live_wait = std::chrono::seconds(10);

bool is_there(const std::string& path) {
    // What cannot be looked at is there.
    std::error_code ignored;
    return fs::symlink_status(path, ignored).type() != fs::file_type::not_found;
}

bool is_named(const std::vector<std::string>& paths, dev_t device) {
    return std::ranges::any_of(paths, [device](const std::string& path) {
        struct stat about{};
        return ::stat(path.c_str(), &about) == 0 && S_ISBLK(about.st_mode) &&
               about.st_rdev == device;
    });
}

// A disk that had a role, by what sysfs says of it: others may hang when they are read.
bool was_disk(const rr_life& life, const std::string& kernel_name) {
    std::ifstream numbers("/sys/class/block/" + kernel_name + "/dev");
    unsigned in_group = 0, number = 0;
    char colon = 0;
    if (!(numbers >> in_group >> colon >> number))
        return false;
    const std::string identity = identify_device(makedev(in_group, number)).text;
    for (uint32_t role = 0; role < RR_MEMBERS_MAX; role++) {
        if (identity == life_identity(life, role))
            return true;
    }
    return false;
}

// The role of the very disk that had one, wherever it is now.
std::optional<uint32_t> role_of(const rr_life& life, const md::uuid& device_uuid,
                                const std::string& identity) {
    for (uint32_t role = 0; role < RR_MEMBERS_MAX; role++) {
        if (device_uuid == life_device_uuid(life, role) && identity == life_identity(life, role))
            return role;
    }
    return std::nullopt;
}

bool counts_on(const predecessor& left, uint32_t role) {
    return rr_state_is_out(left.array()->state, role) == 0;
}

bool counts_on_uuid(const predecessor& left, const md::uuid& device_uuid) {
    for (uint32_t role = 0; role < left.array()->geometry.members; role++) {
        if (device_uuid == life_device_uuid(*left.life(), role))
            return counts_on(left, role);
    }
    return false;
}

// @path leads to the disk of a member that had failed: it is not opened,
// whatever has become of it.
bool is_out(const predecessor& left, const std::string& path) {
    struct stat about{};
    if (::stat(path.c_str(), &about) != 0 || !S_ISBLK(about.st_mode))
        return false;
    const std::string identity = identify_device(about.st_rdev).text;
    bool out = false;
    for (uint32_t role = 0; role < left.array()->geometry.members; role++) {
        if (identity != life_identity(*left.life(), role))
            continue;
        // Two disks may have one serial.
        if (counts_on(left, role))
            return false;
        out = true;
    }
    return out;
}

// The members to open: those that are named, and what is found of the others.
std::vector<std::string> paths_of_members(const predecessor& left, const named_members& named,
                                          bool degraded) {
    std::vector<std::string> all;
    for (const std::string& path : named.paths) {
        if (!is_out(left, path))
            all.push_back(path);
    }
    if (named.only)
        return all;
    scan_options around;
    around.leave_alone = dead_devices();
    around.wanted = [&left](const std::string& name) { return was_disk(*left.life(), name); };
    const scan_result scan = find_members(life_set_uuid(*left.life()), around);
    for (const found_member& found : scan.members) {
        const auto role = role_of(*left.life(), found.superblock.device_uuid, found.identity.text);
        if (role && counts_on(left, *role) && !is_named(named.paths, found.device))
            all.push_back(found.path);
    }
    // What is there and in use is not lost: it is told by who opens it.
    for (const passed_device& held : held_members(scan, life_set_uuid(*left.life()))) {
        if (!degraded && counts_on_uuid(left, held.superblock->device_uuid) &&
            std::ranges::find(named.paths, held.path) == named.paths.end())
            all.push_back(held.path);
    }
    return all;
}

// Members whose disks were away meanwhile are as good as not there. Not where all are
// clean, for that was durable before; unless it may be another disk, or one that was being
// rebuilt: what a job wrote to it is durable up to its checkpoint only.
std::string take_out_returned(const predecessor& left, array_members& members) {
    std::string who;
    for (uint32_t role = 0; role < members.devices.size(); role++) {
        const auto& device = members.devices[role];
        const uint32_t index = index_left(*left.array(), *left.life(), members, role);
        if (!device || !counts_on(left, role) || !was_away(*left.life(), index, *device))
            continue;
        const bool in_sync = (left.array()->state >> role & 1) == 0;
        if (members.plan.clean && in_sync &&
            device->identity.text == life_identity(*left.life(), index))
            continue;
        who += fmt::format("{}{} ({})", who.empty() ? "" : ", ", role, device->path);
        members.devices[role].reset();
        members.plan.members[role].reset();
        members.plan.missing.push_back(role);
    }
    return who;
}

// So is a replacement: all of it was written by a job.
void drop_returned_replacement(const predecessor& left, array_members& members) {
    const auto& copy = members.replacement;
    if (!copy || !was_away(*left.life(), members.replacement_index(), copy->device))
        return;
    log_info("{} was detached since the daemon died, and replaces member {} no more",
             copy->device.path, copy->role);
    members.replacement.reset();
}

Result<array_members> open_while_dying(const std::vector<std::string>& paths,
                                       const md::assembly_options& options) {
    const auto end = std::chrono::steady_clock::now() + dying_wait;
    for (;;) {
        auto opened = open_array(paths, options);
        if (opened || opened.error().err != EBUSY || std::chrono::steady_clock::now() > end)
            return opened;
        std::this_thread::sleep_for(dying_poll);
    }
}

// A daemon that was killed a moment ago has its lock until the kernel has ended it.
Status lock_while_dying(array_places& places) {
    const auto end = std::chrono::steady_clock::now() + live_wait;
    for (;;) {
        Status taken = places.take_lock();
        if (taken || taken.error().err != EBUSY)
            return taken;
        if (std::chrono::steady_clock::now() > end)
            return fail(EBUSY, "its daemon lives");
        std::this_thread::sleep_for(dying_poll);
    }
}

// Text where text is looked for: the file may be anybody's.
bool is_state(const nlohmann::json& state) {
    for (const char* key : {"name", "uuid", "block_device", "socket"}) {
        auto at = state.find(key);
        if (at != state.end() && !at->is_string())
            return false;
    }
    for (const char* key : {"pid", "started", "device"}) {
        auto at = state.find(key);
        if (at != state.end() && !at->is_number_unsigned())
            return false;
    }
    return true;
}

// The state that a state file would tell, from the arena alone. No ring is made for it:
// see ublk/offline_guard.h.
std::optional<nlohmann::json> state_from_pins(const md::uuid& set_uuid) {
    const array_paths paths(set_uuid);
    auto arena = arena_memory::open_map(paths.arena_pin);
    if (!arena || !check_arena(arena->span()))
        return std::nullopt;
    const rr_life& life = *life_of(arena->span());
    if (!check_life(life, set_uuid))
        return std::nullopt;
    nlohmann::json state = {{"schema", json_schema},
                            {"name", life_name(life)},
                            {"uuid", md::to_string(set_uuid)},
                            {"engine", engine_name(engine_host::bpf)},
                            {"pid", life.pid},
                            {"started", life.started},
                            {"socket", paths.socket},
                            {"devices", nlohmann::json::array()}};
    if (life.ublk_device != RR_LIFE_NO_DEVICE) {
        state["device"] = life.ublk_device;
        state["block_device"] = ublk_block_path(life.ublk_device);
    }
    for (uint32_t role = 0; role < RR_MEMBERS_MAX; role++) {
        if (const std::string path = life_path(life, role); !path.empty())
            state["devices"].push_back(path);
    }
    return state;
}

}  // namespace

Result<predecessor> predecessor::find(const array_places& places, const md::uuid& set_uuid) {
    if (Status ok = places.check(); !ok)
        return forward_error(ok.error());
    predecessor left(places, set_uuid);
    left.find_arena(set_uuid);
    auto device = ublk_device::find(set_uuid);
    if (!device)
        return forward_error(device.error());
    left.device_ = std::move(*device);
    return left;
}

void predecessor::find_arena(const md::uuid& set_uuid) {
    const array_paths& paths = places_->paths();
    const bool pinned = is_there(paths.arena_pin);
    found_arena_ = pinned || is_there(paths.arena_file);
    if (!found_arena_)
        return;
    engine_ = pinned ? engine_host::bpf : engine_host::user;
    auto opened = pinned ? arena_memory::open_map(paths.arena_pin)
                         : arena_memory::open_file(paths.arena_file);
    if (opened)
        flaw_ = check_arena(opened->span());
    else
        flaw_ = forward_error(opened.error());
    if (flaw_)
        flaw_ = check_life(*life_of(opened->span()), set_uuid);
    if (flaw_)
        arena_.emplace(std::move(*opened));
}

bool predecessor::served_nothing() const {
    return arena_ && life()->phase != RR_LIFE_SERVING;
}

rr_array* predecessor::array() const {
    return reinterpret_cast<rr_array*>(arena_->span().data());
}

rr_life* predecessor::life() const {
    return life_of(arena_->span());
}

engine_host predecessor::engine() const {
    return engine_;
}

arena_memory predecessor::take_arena() {
    arena_memory taken = std::move(*arena_);
    arena_.reset();
    return taken;
}

Status predecessor::settle(array_members& members) {
    rr_array* a = array();
    take_as_left(members, *a, *life());
    settle_on_logs(members);
    md::array_metadata metadata(members.metadata_state(), md::write_to(members.fds()),
                                life_witness(*life()));
    const failures_so_far before(*a);
    Status settled = settle_rows(members, metadata, before);
    if (!settled) {
        before.restore(*a, &metadata);
        return settled;
    }
    // Killed from here on, nobody needs the arena, whatever happens to the members.
    life()->phase = RR_LIFE_CLOSED;
    if (members.logged)
        leave_logs_empty(members, static_cast<uint32_t>(a->state & RR_STATE_MISSING));
    for (uint32_t role = 0; role < members.devices.size(); role++) {
        if (members.devices[role] && !counts_on(*this, role))
            members.plan.missing.push_back(role);
    }
    forget();
    return {};
}

Status predecessor::settle_rows(array_members& members, md::array_metadata& metadata,
                                const failures_so_far& before) {
    rr_array* a = array();
    for (uint32_t role : members.plan.missing) {
        if (!members.devices[role])
            rr_host_fail(a, role, -ENODEV);
    }
    if (Status ok = try_members(*a, members); !ok)
        return ok;
    // Failures that no superblock tells yet, before rows that do without their members.
    auto marked = metadata.mark_dirty();
    if (!marked)
        return forward_error(marked.error());
    lose_unwritten(*a, *marked);
    if (Status ok = before.bearable(*a); !ok)
        return ok;
    auto redone = redo_on(arena_->span(), members);
    if (!redone)
        return forward_error(redone.error());
    return close_array(*a, metadata, members);
}

Status predecessor::wait_until_dead() {
    const auto end = std::chrono::steady_clock::now() + live_wait;
    while (device_ && (device_->is_live() || device_->is_made_by_somebody())) {
        if (std::chrono::steady_clock::now() > end)
            return with_hint(fail(EBUSY, "{} is being served", device_->block_path()),
                             "by a daemon that is not seen from here: another mount namespace?");
        std::this_thread::sleep_for(dying_poll);
    }
    return {};
}

Status predecessor::give_up() {
    if (Status ok = wait_until_dead(); !ok)
        return ok;
    forget();
    return {};
}

// Who follows the events of the dead daemon learns that no successor comes.
void predecessor::tell_the_end(const std::string& name, const std::string& block_path) const {
    const nlohmann::json about = {
        {"name", name}, {"uuid", md::to_string(set_uuid_)}, {"block_device", block_path}};
    Status told = append_event(places_->paths().events, make_event(event_of_the_end, about));
    if (!told)
        log_error("an event is lost: {}", describe(told.error()));
}

void predecessor::forget() {
    if (device_) {
        const std::string block_path = device_->block_path();
        const auto state = places_->read_state();
        const std::string name = arena_  ? life_name(*life())
                                 : state ? state->value("name", "")
                                         : "";
        remove_name_link(name, block_path);
        tell_the_end(name, block_path);
        (void)device_->stop();
        if (Status gone = device_->remove(); !gone && gone.error().err != ENODEV)
            log_error("{} stays: {}", block_path, describe(gone.error()));
        device_.reset();
    } else if (arena_) {
        remove_dangling_link(life_name(*life()));
    }
    // Last, so that a death in between leaves what the next one needs.
    if (flaw_ || flaw_.error().err != ESTALE)
        places_->remove_pins();
    else  // another array's arena is not ours to remove
        places_->put_foreign_aside();
    places_->remove_run_files();
    arena_.reset();
}

Result<array_members> open_left_members(const predecessor& left, const named_members& named,
                                        const md::assembly_options& options) {
    // Dirty and degraded is no matter: the arena knows which rows were in the making.
    md::assembly_options forced = options;
    forced.set_uuid = life_set_uuid(*left.life());
    forced.name.reset();
    forced.force = forced.degraded = true;
    auto opened = open_while_dying(paths_of_members(left, named, options.degraded), forced);
    if (!opened)
        return opened;
    opened->plan.needs_resync = (left.array()->state & RR_STATE_RESYNC) != 0;
    const bool served = left.life()->phase == RR_LIFE_SERVING;
    if (served)
        drop_returned_replacement(left, *opened);
    const std::string returned = served ? take_out_returned(left, *opened) : "";
    std::string absent;
    uint32_t lost = 0, needed = 0;
    for (uint32_t role = 0; role < opened->devices.size(); role++) {
        lost += (left.array()->state >> role & 1) != 0 || !opened->devices[role] ? 1 : 0;
        if (!counts_on(left, role) || opened->devices[role])
            continue;
        needed++;
        absent += fmt::format("{}{} ({})", absent.empty() ? "" : ", ", role,
                              life_path(*left.life(), role));
    }
    const std::string why = returned.empty()
                                ? ""
                                : fmt::format(
                                      "; {} was detached since the daemon died, and may have "
                                      "lost what it had acknowledged",
                                      returned);
    // Who has the array now may have put a member out. The caller sees that, too, and says so.
    if (!check_heritage(*left.array(), *left.life(), *opened))
        return opened;
    if (lost > 1)
        return with_hint(fail(ENODEV, "{} members are missing or have failed{}", lost, why),
                         absent.empty()     ? ""
                         : returned.empty() ? "connect member " + absent
                                            : "ringraid stop --force --give-up ends the array, and "
                                              "parity is recomputed at its next start");
    if (needed != 0 && !options.degraded)
        return with_hint(
            fail(ENODEV, "member {} is not there, and the array counts on it{}", absent, why),
            fmt::format("{}add --degraded: it is then out of the array until it is rebuilt",
                        returned.empty() ? "connect it, or " : ""));
    return opened;
}

namespace {

// The role whose very member is at @path; nothing: none's.
std::optional<uint32_t> role_at(const predecessor& living, const std::string& path) {
    open_options look;
    look.read_only = true;
    auto device = open_member(path, look);
    if (!device)
        return std::nullopt;
    auto superblock = md::read_superblock(device->fd.get());
    if (!superblock || superblock->set_uuid != life_set_uuid(*living.life()))
        return std::nullopt;
    return role_of(*living.life(), superblock->device_uuid, device->identity.text);
}

}  // namespace

Result<std::vector<std::string>> paths_of_living(const predecessor& living) {
    std::vector<std::string> told, found;
    for (uint32_t role = 0; role < RR_MEMBERS_MAX; role++) {
        if (const std::string path = life_path(*living.life(), role); !path.empty())
            told.push_back(path);
    }
    uint32_t roles = 0;
    for (const std::string& path : paths_of_members(living, {told, false}, false)) {
        const auto role = role_at(living, path);
        if (!role || (roles >> *role & 1) != 0)
            continue;
        roles |= 1U << *role;
        found.push_back(path);
    }
    for (uint32_t role = 0; role < living.array()->geometry.members; role++) {
        if (counts_on(living, role) && (roles >> role & 1) == 0)
            return fail(ENODEV, "member {} is not found: what is at {} is not it", role,
                        life_path(*living.life(), role));
    }
    return found;
}

namespace {

// The members are what was left, or why they are not, or cannot be had.
Result<array_members> agreed_members(const predecessor& left, const last_orders& how) {
    md::assembly_options options;
    options.degraded = how.degraded;
    auto members = open_left_members(left, {how.devices, how.only_named}, options);
    if (!members)
        return members;
    if (Status same = check_heritage(*left.array(), *left.life(), *members); !same)
        return forward_error(same.error());
    return members;
}

// Nothing can be better later: the members are not what was left.
bool is_final(const Error& why) {
    return why.err == ESTALE;
}

Result<std::string> settle_left(predecessor& left, array_members& members) {
    // Who waits gets an error now; then nothing is in flight any more.
    if (left.device()) {
        if (Status ok = left.wait_until_dead(); !ok)
            return forward_error(ok.error());
        (void)left.device()->stop();
    }
    Status settled = left.settle(members);
    drop_caches_of(members);
    if (!settled)
        return forward_error(settled.error());
    std::string without;
    for (uint32_t role : members.plan.missing)
        without += fmt::format("{}{}", without.empty() ? ", without member " : ", ", role);
    return "stopped; its members are clean" + without;
}

// What is lost when it is given up.
std::string price(const predecessor& left) {
    return (left.array()->state & RR_STATE_MISSING) != 0
               ? "as the array is degraded, what the missing member holds may then read wrong "
                 "beside rows that were being written"
               : "parity is recomputed at the next start";
}

// An arena that cannot be read now, or by this version, may be read later.
bool is_readable_later(const Error& why) {
    return why.err != EINVAL && why.err != ESTALE && why.err != ENOENT;
}

// Why the rows in the arena cannot be brought to their end; nothing: they were.
// An error: they cannot now, and it is not ordered to give them up.
Result<std::optional<Error>> settle_or_why(predecessor& left, const last_orders& how,
                                           std::string& told) {
    const bool failed = health_of(left.array()) == array_health::failed;
    Result<array_members> members =
        failed ? fail(EIO, "two members had failed under it") : agreed_members(left, how);
    Result<std::string> settled =
        members ? settle_left(left, *members) : forward_error(members.error());
    if (settled) {
        told = *settled;
        return std::nullopt;
    }
    const Error& why = settled.error();
    if (how.give_up || is_final(why))
        return why;
    return with_hint(
        fail(why.err, "what the dead daemon was writing cannot be ended well: {}", why.what),
        fmt::format("{}{}{}{} gives it up: clients get errors, and {}",
                    members ? "" : "nothing was changed. ", why.hint, why.hint.empty() ? "" : "; ",
                    how.give_up_word, price(left)));
}

}  // namespace

Result<std::string> end_left(predecessor& left, const last_orders& how) {
    std::optional<Error> why;
    if (left.has_arena() && !left.served_nothing()) {
        std::string told;
        auto reason = settle_or_why(left, how, told);
        if (!reason)
            return forward_error(reason.error());
        if (!*reason)
            return told;
        why = **reason;
    } else if (!left.flaw()) {
        why = left.flaw().error();
        if (is_readable_later(*why) && !how.give_up)
            return with_hint(
                fail(why->err, "what the dead daemon was writing cannot be read: {}", why->what),
                fmt::format("nothing was changed. {}; {} gives it up",
                            why->err == EPROTO ? "The version that served it can end it"
                                               : "Mend that, and try again",
                            how.give_up_word));
    }
    if (how.may_give_up) {
        if (Status ok = how.may_give_up(); !ok)
            return with_hint(
                fail(ok.error().err, "the new start would be refused: {}", ok.error().what),
                "nothing was changed. " + ok.error().hint);
    }
    const bool blind = !left.has_arena() && !why && left.is_waited_for();
    if (blind && !how.give_up && !pins_can_be_seen())
        return with_hint(
            fail(ENODEV,
                 "what the dead daemon was writing is not known: no BPF file system is "
                 "mounted at /sys/fs/bpf"),
            fmt::format("nothing was changed. mount -t bpf -o mode=0700 bpf /sys/fs/bpf, if that "
                        "is where its arena is pinned; {} gives it up",
                        how.give_up_word));
    if (Status ok = left.give_up(); !ok)
        return forward_error(ok.error());
    if (blind)
        return "dropped; its arena was lost, so what it was writing is not known";
    return why ? fmt::format("dropped; the members stay as they are: {}", describe(*why))
               : "stopped; nothing was left to do";
}

Result<std::string> end_dead_array(const md::uuid& set_uuid, const last_orders& how) {
    array_places places(set_uuid);
    if (Status ok = places.make_run_directory(); !ok)
        return forward_error(ok.error());
    if (Status ok = lock_while_dying(places); !ok)
        return forward_error(ok.error());
    auto left = predecessor::find(places, set_uuid);
    if (!left)
        return forward_error(left.error());
    auto ended = end_left(*left, how);
    if (ended)
        places.remove_socket();
    return ended;
}

std::vector<nlohmann::json> running_arrays() {
    std::vector<nlohmann::json> out;
    std::error_code failed;
    std::vector<std::string> told;
    for (const auto& entry : fs::directory_iterator(run_directory, failed)) {
        auto state = read_json(entry.path() / "state.json");
        if (state && is_state(*state)) {
            told.push_back(entry.path().filename().string());
            out.push_back(std::move(*state));
        }
    }
    for (const auto& entry : fs::directory_iterator(pin_directory, failed)) {
        const std::string name = entry.path().filename().string();
        auto id = md::parse_uuid(name);
        if (!id || std::ranges::find(told, name) != told.end())
            continue;
        if (auto state = state_from_pins(*id))
            out.push_back(std::move(*state));
    }
    return out;
}

}  // namespace rr
