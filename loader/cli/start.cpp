// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cli/start.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/process.h"
#include "base/text.h"
#include "service/report.h"
#include "service/socket.h"
#include "ublk/offline_guard.h"

namespace rr::cli {
namespace {

// Taking over may wait for the dead daemon's I/O: as long as the child lives.
constexpr int start_timeout_ms = -1;

void print_started(const context& ctx, const nlohmann::json& report) {
    if (ctx.json) {
        print_json(report);
        return;
    }
    print_line(stdout, "{}: {}, {} engine, {}", report.value("block_device", ""),
               report.value("name", ""), report.value("engine", ""), report.value("state", ""));
}

// The child's life: it never returns to the caller.
[[noreturn]] void serve_in_background(const service_options& options, Fd report) {
    auto give_up = [&report](const Error& e) {
        std::string line = to_line(error_json(e)) + '\n';
        (void)!::write(report.get(), line.data(), line.size());
        ::_exit(1);
    };
    ::setsid();
    const std::array keep = {report.get()};
    if (Status left = leave_caller(keep); !left)
        give_up(left.error());
    Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    ::dup2(null.get(), STDIN_FILENO);
    ::dup2(null.get(), STDOUT_FILENO);
    auto service = array_service::start(options);
    if (!service)
        give_up(service.error());
    std::string line = to_line((*service)->status()) + '\n';
    array_paths paths = (*service)->paths();
    Fd log(::open(paths.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    (void)!::write(report.get(), line.data(), line.size());
    report.reset();
    ::dup2(log ? log.get() : null.get(), STDERR_FILENO);
    Status ended = (*service)->run();
    service->reset();
    ::_exit(ended ? 0 : 1);
}

}  // namespace

void start_flags::add_to(CLI::App& command) {
    command.add_option("--engine", engine, "where the datapath runs: auto, bpf or user")
        ->check(CLI::IsMember({"auto", "bpf", "user"}));
    command.add_option("--queues", queues, "ublk queues (default: one per CPU, at most 4)");
    command.add_option("--depth", depth, "requests per queue (default 64)");
    command.add_option("--slots", slots, "row operations per queue (default 64)");
    command.add_option("--arena", arena, "most memory for buffers (default 1G, at most 4G)");
    command.add_flag("--foreground", foreground, "serve in this process, for systemd");
    command.add_flag("--no-zero-copy", no_zero_copy, "copy reads through the arena");
    command.add_flag("--passthrough", passthrough,
                     "send NVMe commands to the members, past the block layer");
}

Result<service_options> start_flags::options() const {
    service_options out;
    if (engine != "auto")
        out.host = engine == "bpf" ? engine_host::bpf : engine_host::user;
    if (queues != 0)
        out.queues = queues;
    out.depth = depth;
    out.slots = slots;
    out.zero_copy = !no_zero_copy;
    out.passthrough = passthrough;
    auto bytes = parse_bytes(arena);
    if (!bytes)
        return forward_error(bytes.error());
    if (*bytes > uint64_t{4} << 30)
        return with_hint(fail(EINVAL, "an arena of {}", human_bytes(*bytes)), "at most 4G");
    out.arena_bytes_max = *bytes;
    return out;
}

int start_array(const context& ctx, const service_options& given, bool foreground) {
    for (Status ok : {raise_limits(), spare_from_oom()}) {
        if (!ok)
            return print_error(ctx, ok.error());
    }
    service_options options = given;
    options.devices = absolute_paths(given.devices);
    // Where a daemon died with requests open, a CPU may wait for them to go offline.
    std::optional<offline_guard> guard;
    if (!running_arrays().empty())
        guard.emplace();
    if (foreground) {
        if (Status left = leave_caller({}); !left)
            return print_error(ctx, left.error());
        auto service = array_service::start(options);
        if (!service)
            return print_error(ctx, service.error());
        guard.reset();
        print_started(ctx, (*service)->status());
        std::fflush(stdout);
        Status ended = (*service)->run();
        return ended ? 0 : print_error(ctx, ended.error());
    }
    int pipe_fds[2];
    if (::pipe2(pipe_fds, O_CLOEXEC) != 0)
        return print_error(ctx, Error{errno, "cannot make a pipe", ""});
    Fd read_end(pipe_fds[0]), write_end(pipe_fds[1]);
    pid_t child = ::fork();
    if (child < 0)
        return print_error(ctx, Error{errno, "cannot fork", ""});
    if (child == 0) {
        read_end.reset();
        serve_in_background(options, std::move(write_end));
    }
    write_end.reset();
    auto line = read_line(read_end.get(), start_timeout_ms);
    if (!line)
        return print_error(ctx, Error{line.error().err, "the daemon ended without a word",
                                      "run it with --foreground to see why"});
    nlohmann::json report = nlohmann::json::parse(*line, nullptr, false);
    if (!report.is_object() || !report.value("ok", false)) {
        ::waitpid(child, nullptr, 0);
        return print_error(ctx, error_of(report));
    }
    print_started(ctx, report);
    return 0;
}

Status resync_if_needed(const service_options& options) {
    std::optional<offline_guard> guard;
    if (!running_arrays().empty()) {
        if (Status ok = guard.emplace().try_ring(); !ok)
            return ok;
    }
    forget_dead(options.devices);
    // A killed daemon's arena knows better than the superblocks what to redo.
    if (served_before(options.devices))
        return {};
    auto opened = open_array(options.devices, options.assembly);
    if (!opened)
        return forward_error(opened.error());
    array_members& members = *opened;
    if (!members.plan.needs_resync)
        return {};
    // What the start would refuse, before an hour of work.
    if (options.passthrough) {
        if (auto known = members.open_namespaces(); !known)
            return forward_error(known.error());
    }

    md::array_metadata metadata(members.metadata_state(), md::write_to(members.fds()));
    if (auto report = metadata.mark_dirty(); !report)
        return forward_error(report.error());
    resync_options resync_opts;
    resync_opts.stripes = members.plan.member_sectors >> members.plan.geometry.chunk_shift;
    resync_opts.trust_parity = options.assembly.force;
    int shown = -1;
    resync_opts.progress = [&shown](uint64_t done, uint64_t total) {
        int percent = static_cast<int>(done * 100 / total);
        if (percent / 5 != shown / 5 || shown < 0)
            fmt::print(stderr, "ringraid: recomputing parity: {}% of {}\n", percent,
                       human_bytes(total));
        shown = percent;
    };
    auto done = resync(members.plan.geometry, members.resync_members(), resync_opts);
    if (!done)
        return with_hint(
            fail(done.error().error.err, "cannot recompute parity: member {} sector {}: {}",
                 done.error().role, done.error().sector, done.error().error.what),
            done.error().write || options.assembly.force
                ? "nothing was lost: replace the cable or the disk, then assemble again"
                : "check the cable, or use --force to rebuild such sectors from parity: they "
                  "may be wrong where the crash cut off a write");
    fmt::print(stderr, "ringraid: parity is right; {} of {} stripes were not\n",
               done->stripes_mismatched, done->stripes_done);
    if (done->rows_rebuilt != 0)
        fmt::print(stderr, "ringraid: {} blocks of 4 KiB could not be read and were rebuilt\n",
                   done->rows_rebuilt);
    metadata.resync_finished();
    auto report = metadata.mark_clean();
    if (!report)
        return forward_error(report.error());
    if (!report->complete())
        return fail(EIO, "cannot write the superblock of member {}", report->failed[0].role);
    return {};
}

}  // namespace rr::cli
