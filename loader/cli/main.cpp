// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// ringraid: makes, serves and looks after RAID5 arrays.
#include "cli/commands.h"

#include <cerrno>
#include <exception>

#include "base/process.h"
#include "base/version.h"
#include "cli/unit.h"

namespace {

int run(int argc, char** argv) {
    CLI::App app{"RAID5 whose datapath runs in io_uring BPF", "ringraid"};
    rr::cli::context ctx;
    rr::cli::use_short_help(app);
    ctx.manager = rr::service_manager::of_environment();
    app.require_subcommand(1);
    app.fallthrough();
    app.set_version_flag("--version", std::string("ringraid ") + rr::version);
    app.add_flag("--json", ctx.json, "print data as JSON (schema 1)");
    for (auto add : {rr::cli::add_create,     rr::cli::add_assemble,  rr::cli::add_stop,
                     rr::cli::add_fail,       rr::cli::add_status,    rr::cli::add_stats,
                     rr::cli::add_examine,    rr::cli::add_features,  rr::cli::add_add,
                     rr::cli::add_remove,     rr::cli::add_replace,   rr::cli::add_jobs,
                     rr::cli::add_events,     rr::cli::add_upgrade,   rr::cli::add_handover,
                     rr::cli::add_exports,    rr::cli::add_release,   rr::cli::add_store,
                     rr::cli::add_config,     rr::cli::add_monitor,   rr::cli::add_top,
                     rr::cli::add_completion, rr::cli::add_ublk_stop, rr::cli::add_udev,
                     rr::cli::add_fence_clear})
        add(app, ctx);
    CLI11_PARSE(app, argc, argv);
    return ctx.run ? ctx.run() : 1;
}

}  // namespace

int main(int argc, char** argv) {
    // Before anything is opened: no disk may get the number of a standard stream.
    if (!rr::occupy_stdio())
        return 1;
    // Libraries throw; what nobody caught is a bug, and says so.
    try {
        return run(argc, argv);
    } catch (const std::exception& e) {
        fmt::print(stderr, "ringraid: unexpected: {}\nhint: please report this\n", e.what());
    }
    return 1;
}
