// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Taking over from a daemon that was killed: see the order in array_service.h
// and engine/redo.h.
#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include "base/bytes.h"
#include "base/io.h"
#include "base/log.h"
#include "engine/redo.h"
#include "service/array_service.h"

extern "C" {
#include "engine/host.h"
}

namespace rr {
namespace {

constexpr auto fence_wait = std::chrono::seconds(60);
constexpr auto fence_poll = std::chrono::milliseconds(10);

// Redo straight to the members: nothing else has them open.
class member_io : public redo_io {
public:
    explicit member_io(std::vector<int> fds) : fds_(std::move(fds)) {}

    int write(uint32_t role, uint64_t position, std::span<const std::byte> data) override {
        std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(data.data()), data.size());
        Status ok = fds_[role] < 0 ? Status(fail(ENODEV, "missing"))
                                   : write_exact(fds_[role], bytes, position);
        return ok ? 0 : ok.error().err;
    }

    int flush(uint32_t role) override {
        Status ok = fds_[role] < 0 ? Status(fail(ENODEV, "missing")) : sync_data(fds_[role]);
        return ok ? 0 : ok.error().err;
    }

private:
    std::vector<int> fds_;
};

// True when clients of the device may be waiting for a successor.
bool is_waited_for(const Result<ublksrv_ctrl_dev_info>& info, const md::uuid& set_uuid) {
    return info && info->ublksrv_flags == device_mark(set_uuid) && info->state != UBLK_S_DEV_DEAD;
}

// A device that is nobody's any more, if it is of this array.
void remove_dead(ublk_control& ublk, const Result<ublksrv_ctrl_dev_info>& info,
                 const md::uuid& set_uuid) {
    if (info && info->ublksrv_flags == device_mark(set_uuid))
        (void)ublk.remove(info->dev_id);
}

// Pins, and the files of programs: how many there are, upgrades decided.
void remove_program_files(const std::filesystem::path& run, const std::filesystem::path& pins) {
    std::error_code ignored;
    std::filesystem::remove_all(pins, ignored);
    std::vector<std::filesystem::path> programs;
    for (const auto& entry : std::filesystem::directory_iterator(run, ignored)) {
        if (entry.path().extension() == ".o")
            programs.push_back(entry.path());
    }
    for (const auto& path : programs)
        std::filesystem::remove(path, ignored);
}

void drop_page_caches(const nlohmann::json& devices) {
    for (const nlohmann::json& device : devices) {
        if (!device.is_string())
            continue;
        const auto path = device.get<std::string>();
        Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        if (fd)
            drop_page_cache(fd.get(), path);
        else
            log_error("cannot open {}: its page cache may be old", path);
    }
}

}  // namespace

uint64_t device_mark(const md::uuid& set_uuid) {
    return load_le<uint64_t>(set_uuid, 0);
}

void remove_run_files(const array_paths& paths) {
    std::error_code ignored;
    for (const std::filesystem::path& trace :
         {std::filesystem::path(paths.arena_file), std::filesystem::path(paths.state),
          std::filesystem::path(paths.socket)})
        std::filesystem::remove(trace, ignored);
    remove_program_files(paths.directory, paths.pins);
}

void forget_dead(const std::vector<std::string>& devices) {
    for (const md::uuid& id : arrays_on(devices)) {
        array_paths paths(id);
        auto state = read_json(paths.state);
        // Who holds the lock lives, and is starting or stopping.
        Fd lock(::open(paths.lock.c_str(), O_RDWR | O_CLOEXEC));
        if (!state || !lock || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
            continue;
        auto ublk = ublk_control::open();
        if (!ublk)
            continue;
        auto info = ublk->info(state->value("device", uint32_t{0}));
        if (is_waited_for(info, id))
            continue;
        remove_dead(*ublk, info, id);
        remove_run_files(paths);
    }
}

// Returns when the I/O of the dead daemon's rings is over: until then the
// kernel answers EBUSY.
Status array_service::fence_device() {
    auto end = std::chrono::steady_clock::now() + fence_wait;
    for (;;) {
        Status begun = ublk_->begin_recovery(*device_);
        if (begun || begun.error().err != EBUSY || std::chrono::steady_clock::now() > end)
            return begun;
        std::this_thread::sleep_for(fence_poll);
    }
}

Status array_service::adopt_device(const nlohmann::json& state) {
    auto device = state.value("device", uint32_t{0});
    std::string engine = state.value("engine", "");
    auto info = ublk_->info(device);
    if (!is_waited_for(info, members_.plan.set_uuid)) {
        // Never started, or stopped since.
        remove_dead(*ublk_, info, members_.plan.set_uuid);
        remove_run_files(*paths_);
        return add_device();
    }
    device_ = device;
    recovering_ = true;
    if (engine != (host_ == engine_host::bpf ? "bpf" : "user")) {
        if (options_.host)
            return with_hint(fail(EINVAL, "the dead daemon ran the {} engine", engine),
                             "assemble with --engine " + engine);
        host_ = engine == "bpf" ? engine_host::bpf : engine_host::user;
    }
    log_info("taking over {} from a daemon that died", ublk_block_path(device));
    return fence_device();
}

Status array_service::adopt_arena() {
    auto opened = host_ == engine_host::bpf ? arena_memory::open_map(paths_->arena_pin)
                                            : arena_memory::open_file(paths_->arena_file);
    if (!opened)
        return forward_error(opened.error());
    arena_.emplace(std::move(*opened));
    if (Status ok = check_arena(arena_->span()); !ok)
        return ok;
    layout_.header = *array();
    layout_.bytes = array()->bytes;
    return reconcile_members();
}

// The arena knows of failures that no superblock tells yet; the devices know
// of members that went away since.
Status array_service::reconcile_members() {
    rr_array* a = array();
    if (a->geometry.members != members_.plan.geometry.members ||
        a->geometry.chunk_shift != members_.plan.geometry.chunk_shift ||
        a->geometry.layout != members_.plan.geometry.layout)
        return fail(EINVAL, "the arena belongs to an array of another shape");
    for (uint32_t role = 0; role < a->geometry.members; role++) {
        bool out = (a->state >> role & 1) != 0;
        auto& member = members_.plan.members[role];
        if (out && member) {
            member.reset();
            members_.devices[role].reset();
            members_.plan.missing.push_back(role);
        } else if (!out && !member) {
            rr_host_fail(a, role, -ENODEV);
        } else if (member && a->members[role].data_offset != member->superblock.data_offset) {
            return fail(EINVAL, "member {} has moved its data", role);
        }
    }
    // Parity is right everywhere but in the rows that the arena remembers.
    members_.plan.needs_resync = false;
    return {};
}

Status array_service::redo_rows() {
    if (!recovering_)
        return {};
    member_io io(members_.fds());
    auto report = redo_writes(arena_->span(), io);
    if (!report)
        return forward_error(report.error());
    durability_->settle();
    restart_arena(arena_->span());
    log_info("wrote {} rows again that were being written", report->slots);
    return {};
}

Status drop_dead_array(const nlohmann::json& state) {
    std::filesystem::path run = std::filesystem::path(state.value("socket", "")).parent_path();
    if (run.filename().empty())
        return fail(EINVAL, "its state file names no socket");
    Fd lock(::open((run / "lock").c_str(), O_RDWR | O_CLOEXEC));
    if (!lock || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
        return fail(EBUSY, "its daemon lives");
    auto ublk = ublk_control::open();
    if (!ublk)
        return forward_error(ublk.error());
    auto device = state.value("device", uint32_t{0});
    if (ublk->info(device)) {
        (void)ublk->stop(device);
        if (Status ok = ublk->remove(device); !ok)
            return ok;
    }
    drop_page_caches(state.value("devices", nlohmann::json::array()));
    std::error_code ignored;
    std::filesystem::path pins = std::filesystem::path(pin_directory) / run.filename();
    for (const std::filesystem::path& trace :
         {std::filesystem::path(link_path(state.value("name", ""))), run / "arena",
          run / "control.sock", run / "state.json"})
        std::filesystem::remove(trace, ignored);
    remove_program_files(run, pins);
    return {};
}

}  // namespace rr
