// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// export, unexport, exports: an array's block device for clients elsewhere, by the servers
// that the kernel and Debian have.
#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/commands.h"
#include "export/exports.h"
#include "export/unit.h"
#include "export/vdpa.h"
#include "service/paths.h"
#include "service/report.h"

namespace rr::cli {
namespace {

struct export_flags {
    std::string array, kind;
    export_spec spec;
    bool once = false;
};

nlohmann::json shown(const export_spec& spec, const char* state) {
    nlohmann::json out = to_json(spec);
    out["state"] = state;
    out["configured"] = is_configured(spec.name);
    if (spec.kind == export_kind::vduse)
        out["device"] = vdpa::device(spec);
    return out;
}

// What is served under this name, and by whom; the array must be served.
Result<std::string> fill_in(export_spec& spec, const std::string& array) {
    auto status = ask_status(array);
    if (!status)
        return forward_error(status.error());
    spec.array = status->value("uuid", "");
    spec.array_name = short_name(status->value("name", ""));
    if (Status ok = complete(spec); !ok)
        return forward_error(ok.error());
    return status->value("block_device", "");
}

Status do_export(export_flags& flags) {
    auto kind = parse_export_kind(flags.kind);
    if (!kind)
        return forward_error(kind.error());
    flags.spec.kind = *kind;
    auto device = fill_in(flags.spec, flags.array);
    if (!device)
        return forward_error(device.error());
    if (!flags.once && export_units_serve(flags.spec))
        return start_export_unit(flags.spec);
    return make_export(flags.spec, *device);
}

int run_export(const context& ctx, export_flags& flags) {
    if (Status ok = do_export(flags); !ok)
        return print_error(ctx, ok.error());
    const export_spec& spec = flags.spec;
    if (ctx.json) {
        print_json({{"schema", json_schema}, {"ok", true}, {"export", shown(spec, "serving")}});
        return 0;
    }
    const std::string device = spec.kind == export_kind::vduse ? vdpa::device(spec) : "";
    print_line(stdout, "{}: {}{}", spec.name, place_of(spec),
               device.empty() ? "" : ", here as " + device);
    return 0;
}

// Who waits for a dead daemon cannot be sent away, and would keep us, too.
Status check_daemon(const std::string& name) {
    auto record = export_records().read(name);
    if (!record)
        return {};
    auto status = ask_status(record->spec.array);
    if (!status && status.error().err == EOWNERDEAD)
        return with_hint(forward_error(status.error()),
                         "ringraid assemble takes over; then it ends");
    return {};
}

Status do_unexport(const std::string& name, bool once, bool force) {
    if (!force) {
        if (Status ok = check_daemon(name); !ok)
            return ok;
    }
    if (once || !is_configured(name))
        return end_export(name, force);
    return stop_export_unit(name);
}

int run_unexport(const context& ctx, const std::string& name, bool once, bool force, bool quiet) {
    Status ok = do_unexport(name, once, force);
    if (!ok)
        return quiet ? 1 : print_error(ctx, ok.error());
    if (ctx.json)
        print_json({{"schema", json_schema}, {"ok", true}, {"name", name}});
    else if (!quiet)
        print_line(stdout, "{} is no longer exported", name);
    return 0;
}

int run_exports(const context& ctx) {
    nlohmann::json all = nlohmann::json::array();
    for (const export_record& record : export_records().all()) {
        const char* state = to_string(state_of(record));
        all.push_back(shown(record.spec, state));
        if (!ctx.json)
            print_line(stdout, "{:<20} {:<10} {:<12} {:<12} {}", record.spec.name,
                       to_string(record.spec.kind), record.spec.array_name, state,
                       place_of(record.spec));
    }
    for (const std::string& name : configured_exports()) {
        if (export_records().read(name))
            continue;
        all.push_back({{"name", name}, {"state", "not started"}, {"configured", true}});
        if (!ctx.json)
            print_line(stdout, "{:<20} {:<10} {:<12} not started", name, "-", "-");
    }
    if (ctx.json)
        print_json({{"schema", json_schema}, {"ok", true}, {"exports", all}});
    return 0;
}

}  // namespace

void add_exports(CLI::App& app, context& ctx) {
    auto flags = std::make_shared<export_flags>();
    CLI::App* make = app.add_subcommand("export", "offer an array to clients");
    make->add_option("array", flags->array, "name, uuid or block device")->required();
    make->add_option("kind", flags->kind, "the server")
        ->required()
        ->check(CLI::IsMember(export_kinds()));
    export_spec& spec = flags->spec;
    make->add_option("--name", spec.name, "of the export (default: ARRAY-KIND)");
    make->add_option("--address", spec.address, "where to listen (default: 127.0.0.1)");
    make->add_option("--port", spec.port, "default: the one of the kind");
    make->add_option("--target", spec.target, "the NQN, IQN or NBD name that clients ask for");
    make->add_option("--host", spec.hosts, "who may connect, by NQN or IQN; several");
    make->add_flag("--any-host", spec.any_host, "whoever reaches the address may");
    make->add_option("--path", spec.path, "a socket's, or of the file of fuse");
    make->add_option("--queues", spec.queues, "of vhost-user and vduse");
    make->add_option("--driver", spec.driver, "of vduse")
        ->check(CLI::IsMember(std::vector<std::string>{"virtio_vdpa", "vhost_vdpa"}));
    make->add_flag("--once", flags->once, "not again after the next boot");
    make->callback([flags, &ctx] { ctx.run = [flags, &ctx] { return run_export(ctx, *flags); }; });

    auto name = std::make_shared<std::string>();
    auto once = std::make_shared<bool>(false), force = std::make_shared<bool>(false),
         quiet = std::make_shared<bool>(false);
    CLI::App* end = app.add_subcommand("unexport", "offer it no longer");
    end->add_option("name", *name, "of the export")->required();
    end->add_flag("--force", *force, "also while nobody answers its clients");
    end->add_flag("--once", *once, "it is back after the next boot");
    end->add_flag("--quiet", *quiet)->group("");
    end->callback([name, once, force, quiet, &ctx] {
        ctx.run = [name, once, force, quiet, &ctx] {
            return run_unexport(ctx, *name, *once, *force, *quiet);
        };
    });

    app.add_subcommand("exports", "what is offered")->callback([&ctx] {
        ctx.run = [&ctx] { return run_exports(ctx); };
    });
}

}  // namespace rr::cli
