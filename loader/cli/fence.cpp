// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// `ringraid fence-clear`: the reservations of devices whose holder will not come back.
#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/commands.h"
#include "members/member.h"
#include "members/reservation.h"
#include "service/fence.h"
#include "service/report.h"

namespace rr::cli {
namespace {

// Exclusively: an array that is served here has its own.
Result<nlohmann::json> clear_one(const std::string& path) {
    auto device = open_member(path);
    if (!device)
        return forward_error(device.error());
    const auto on = reservations_of(device->fd.get());
    auto found = on->read();
    if (!found)
        return fail(found.error().err, "{}: {}", path, found.error().what);
    nlohmann::json out = {
        {"device", path},
        {"holder", found->holder == 0 ? nlohmann::json() : nlohmann::json(to_hex(found->holder))},
        {"host", found->holder == 0 ? "" : host_of_key(found->holder)},
        {"keys", found->keys.size()}};
    if (found->keys.empty() && found->holder == 0)
        return out;
    auto key = new_reservation_key();
    if (!key)
        return forward_error(key.error());
    Status done = on->enter(*key);
    if (done)
        done = on->clear(*key);
    return done ? Result<nlohmann::json>(out)
                : fail(done.error().err, "{}: {}", path, done.error().what);
}

std::string text_of(const nlohmann::json& one) {
    const std::string device = one.value("device", "");
    if (one["holder"].is_null())
        return fmt::format("{}: nobody had it reserved", device);
    const std::string host = one.value("host", "");
    return fmt::format("{}: was reserved for {}{}, is free", device,
                       host.empty() ? "" : "host " + host + ", key ", one.value("holder", ""));
}

int fence_clear(const context& ctx, const std::vector<std::string>& devices) {
    nlohmann::json out = {{"schema", json_schema}, {"ok", true}};
    out["devices"] = nlohmann::json::array();
    for (const std::string& path : devices) {
        auto done = clear_one(path);
        if (!done)
            return print_error(ctx, done.error());
        if (!ctx.json)
            print_line(stdout, "{}", text_of(*done));
        out["devices"].push_back(std::move(*done));
    }
    if (ctx.json)
        print_json(out);
    return 0;
}

}  // namespace

void add_fence_clear(CLI::App& app, context& ctx) {
    auto devices = std::make_shared<std::vector<std::string>>();
    CLI::App* command = app.add_subcommand(
        "fence-clear", "end all reservations of devices whose host is known to be dead");
    command->add_option("devices", *devices, "members that no host serves")->required();
    command->callback(
        [devices, &ctx] { ctx.run = [devices, &ctx] { return fence_clear(ctx, *devices); }; });
}

}  // namespace rr::cli
