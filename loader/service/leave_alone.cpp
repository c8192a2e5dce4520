// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/leave_alone.h"

#include <signal.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <memory>
#include <set>
#include <string_view>

#include "export/clients.h"
#include "export/record.h"
#include "service/predecessor.h"
#include "ublk/control.h"

namespace rr {
namespace {

constexpr std::string_view ublk_prefix = "ublkb";

// Of "ublkb3" and its partition "ublkb3p1".
std::optional<uint32_t> ublk_number(std::string_view name) {
    uint32_t number = 0;
    if (!name.starts_with(ublk_prefix))
        return std::nullopt;
    name.remove_prefix(ublk_prefix.size());
    const auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    return error == std::errc() ? std::optional(number) : std::nullopt;
}

bool is_served(ublk_control& ublk, uint32_t device) {
    auto info = ublk.info(device);
    return info && info->state == UBLK_S_DEV_LIVE && info->ublksrv_pid > 0 &&
           (::kill(info->ublksrv_pid, 0) == 0 || errno == EPERM);
}

}  // namespace

leave_alone_rule dead_devices() {
    std::shared_ptr<ublk_control> ublk;
    if (auto opened = ublk_control::open())
        ublk = std::make_shared<ublk_control>(std::move(*opened));
    const std::vector<export_record> exports = export_records().all();
    return [ublk, exports](const std::string& name) -> std::optional<std::string> {
        const auto number = ublk_number(name);
        if (number && (!ublk || !is_served(*ublk, *number)))
            return "has no living ublk server";
        // A read comes back where the array answers: its clients are disks like others.
        std::vector<export_spec> silent;
        for (const export_record& one : exports) {
            const auto device =
                ublk_number(std::filesystem::path(one.block_device).filename().string());
            if (!device || !ublk || !is_served(*ublk, *device))
                silent.push_back(one.spec);
        }
        if (auto shown = export_shown_by(name, silent))
            return "may be a client of the export " + *shown;
        return std::nullopt;
    };
}

leave_alone_rule arrays_and_dead_devices() {
    std::set<uint32_t> ours;
    for (const nlohmann::json& state : running_arrays()) {
        const std::filesystem::path path = state.value("block_device", "");
        if (auto number = ublk_number(path.filename().string()))
            ours.insert(*number);
    }
    return [ours, dead = dead_devices()](const std::string& name) -> std::optional<std::string> {
        const auto number = ublk_number(name);
        if (number && ours.contains(*number))
            return "is an array of ringraid";
        return dead(name);
    };
}

}  // namespace rr
