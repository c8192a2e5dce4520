// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "export/storage_daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/fd.h"
#include "base/process.h"
#include "base/run_program.h"
#include "export/configfs.h"
#include "export/fuse_file.h"
#include "export/program.h"
#include "export/steps.h"
#include "export/vdpa.h"
#include "service/places.h"

namespace rr::storage_daemon {
namespace {

constexpr auto begin_time = std::chrono::seconds(60);
constexpr auto end_time = std::chrono::seconds(30);
constexpr auto kill_time = std::chrono::seconds(5);

constexpr const char* node = "d";

Result<std::string> program() {
    return find_program("qemu-storage-daemon", "qemu-system-common");
}

nlohmann::json device_json(const std::string& block_device) {
    return {{"driver", "host_device"}, {"node-name", node},  {"filename", block_device},
            {"aio", "io_uring"},       {"discard", "unmap"}, {"cache", {{"direct", true}}}};
}

nlohmann::json address_json(const export_spec& spec) {
    if (!spec.path.empty())
        return {{"type", "unix"}, {"path", spec.path}};
    return {{"type", "inet"}, {"host", spec.address}, {"port", fmt::format("{}", spec.port)}};
}

unsigned block_size(const std::string& block_device) {
    const std::string name = std::filesystem::path(block_device).filename().string();
    const std::string text =
        configfs::read(fmt::format("/sys/class/block/{}/queue/logical_block_size", name));
    unsigned out = 512;
    std::from_chars(text.data(), text.data() + text.size(), out);
    return out;
}

nlohmann::json export_json(const export_spec& spec, const std::string& block_device) {
    nlohmann::json out = {{"id", "e"}, {"node-name", node}, {"writable", true}};
    switch (spec.kind) {
        case export_kind::nbd:
            out["type"] = "nbd";
            out["name"] = spec.target;
            break;
        case export_kind::vhost_user:
            out["type"] = "vhost-user-blk";
            out["addr"] = address_json(spec);
            break;
        case export_kind::vduse:
            out["type"] = "vduse-blk";
            out["name"] = spec.name;
            out["serial"] = "ringraid";
            break;
        default:
            out["type"] = "fuse";
            out["mountpoint"] = spec.path;
            break;
    }
    if (spec.kind == export_kind::vhost_user || spec.kind == export_kind::vduse) {
        out["num-queues"] = spec.queues;
        out["logical-block-size"] = block_size(block_device);
    }
    return out;
}

std::vector<std::string> command(const std::string& program, const export_spec& spec,
                                 const std::string& block_device, const std::string& pid_file) {
    std::vector<std::string> out = {program,  "--daemonize", "--pidfile",
                                    pid_file, "--blockdev",  to_line(device_json(block_device))};
    if (spec.kind == export_kind::nbd) {
        out.emplace_back("--nbd-server");
        out.push_back(to_line({{"addr", address_json(spec)}}));
    }
    out.emplace_back("--export");
    out.push_back(to_line(export_json(spec, block_device)));
    return out;
}

bool ends_within(const process& of, std::chrono::milliseconds most) {
    const Fd held(static_cast<int>(::syscall(SYS_pidfd_open, of.pid, 0)));
    if (!held || !is_alive(of))
        return true;
    pollfd one = {held.get(), POLLIN, 0};
    return ::poll(&one, 1, static_cast<int>(most.count())) == 1;
}

// By a descriptor, so that no other process with its number is meant.
void signal(const process& of, int number) {
    const Fd held(static_cast<int>(::syscall(SYS_pidfd_open, of.pid, 0)));
    if (held && is_alive(of))
        ::syscall(SYS_pidfd_send_signal, held.get(), number, nullptr, 0);
}

Status end_process(const process& of, bool force) {
    if (!is_alive(of))
        return {};
    signal(of, SIGTERM);
    if (ends_within(of, force ? kill_time : end_time))
        return {};
    if (force)
        signal(of, SIGKILL);
    if (force && ends_within(of, kill_time))
        return {};
    return with_hint(fail(ETIMEDOUT, "qemu-storage-daemon (pid {}) does not end", of.pid),
                     "it waits for the array's answers: ringraid status; --force kills it");
}

// What it leaves in the file system.
void remove_path(const export_spec& spec) {
    if (spec.kind == export_kind::fuse)
        fuse_file::remove(spec.path);
    else if (!spec.path.empty())
        ::unlink(spec.path.c_str());
}

}  // namespace

Status check(const export_spec& spec) {
    if (auto found = program(); !found)
        return forward_error(found.error());
    if (!spec.path.empty() && configfs::is_there(spec.path))
        return with_hint(fail(EEXIST, "there is a {}", spec.path),
                         "another --path, or remove it: an export makes its own");
    if (spec.kind == export_kind::vduse)
        return vdpa::check(spec);
    return spec.kind == export_kind::fuse ? fuse_file::check() : Status();
}

Result<process> begin(const export_spec& spec, const std::string& block_device,
                      const std::string& pid_file) {
    steps undo;
    auto found = program();
    if (!found)
        return forward_error(found.error());
    if (spec.kind == export_kind::fuse) {
        if (Status ok = fuse_file::make(spec.path); !ok)
            return forward_error(ok.error());
    }
    undo.done([&spec] { remove_path(spec); });
    if (Status ok = run_program(command(*found, spec, block_device, pid_file), "", begin_time); !ok)
        return with_hint(fail(ok.error().err, "qemu-storage-daemon did not start"),
                         "it says above what it lacks");
    process out = of_pid_file(pid_file);
    undo.done([out] { (void)end_process(out, true); });
    if (!is_alive(out))
        return fail(EIO, "qemu-storage-daemon ended at once");
    if (spec.kind == export_kind::vduse) {
        if (Status ok = vdpa::add(spec); !ok)
            return forward_error(ok.error());
    }
    undo.keep();
    return out;
}

Status end(const export_spec& spec, const process& of, bool force) {
    if (spec.kind == export_kind::vduse) {
        if (Status ok = vdpa::remove(spec); !ok && !force)
            return ok;
    }
    if (Status ok = end_process(of, force); !ok)
        return ok;
    remove_path(spec);
    return {};
}

bool is_alive(const process& of) {
    return of.pid > 0 && of.started != 0 && started_at(of.pid) == of.started;
}

process of_pid_file(const std::string& pid_file) {
    const std::string text = configfs::read(pid_file);
    process out;
    std::from_chars(text.data(), text.data() + text.size(), out.pid);
    out.started = out.pid > 0 ? started_at(out.pid) : 0;
    return out;
}

}  // namespace rr::storage_daemon
