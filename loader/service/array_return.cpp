// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A member that was away and is back is taken back, where the setting `re-add` says so.
//
// Only one that was lost because it did not answer (the judge leaves ENOLINK as its error):
// what failed by itself would fail again, and whom a person took out stays out. And only
// where the bitmap knows all that it lacks: nobody has asked for a rebuild of the whole.
//
// Whether it is back is asked of sysfs, for the disk and for a living connection: a read
// would hang where the kernel still waits for it, and with it the main thread.
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/first_line.h"
#include "base/log.h"
#include "members/fabrics.h"
#include "members/scan.h"
#include "service/array_service.h"
#include "service/heritage.h"
#include "service/leave_alone.h"
#include "service/report.h"

namespace rr {
namespace {

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto look_again = 2s;
constexpr auto after_refusal = 30s;

bool is_reached(dev_t device) {
    const auto paths = fabrics_paths(device);
    return paths.empty() ||
           std::ranges::any_of(paths, [](const fabrics_path& p) { return p.state == "live"; });
}

// The disk that had the role in @life, and it can be read.
bool is_back(const rr_life& life, uint32_t role, dev_t device) {
    const device_identity now = identify_device(device);
    return now.strong && now.text == life_identity(life, role) && is_reached(device);
}

dev_t number_of(const std::string& name) {
    unsigned major_number = 0, minor_number = 0;
    const std::string said = first_line(std::filesystem::path("/sys/class/block") / name / "dev");
    return std::sscanf(said.c_str(), "%u:%u", &major_number, &minor_number) == 2
               ? makedev(major_number, minor_number)
               : 0;
}

}  // namespace

std::optional<uint32_t> array_service::role_to_return() const {
    const auto role = empty_role();
    if (!readd_ || !bitmap_ || !role || fenced_ || heir_ ||
        __atomic_load_n(&array()->members[*role].error, __ATOMIC_SEQ_CST) != ENOLINK)
        return std::nullopt;
    return role;
}

// By the name that it had, else by any.
std::optional<std::string> array_service::where_is_back(uint32_t role) const {
    const rr_life& life = *life_record();
    std::string before = life_path(life, role);
    struct stat node{};
    if (::stat(before.c_str(), &node) == 0 && S_ISBLK(node.st_mode) &&
        is_back(life, role, node.st_rdev))
        return before;
    scan_options around;
    around.leave_alone = arrays_and_dead_devices();
    around.wanted = [&](const std::string& name) { return is_back(life, role, number_of(name)); };
    for (const found_member& found : find_members(set_uuid_, around).members) {
        if (found.superblock.role() == role)
            return found.path;
    }
    return std::nullopt;
}

void array_service::ask_for_return() {
    if (clock::now() < next_return_look_)
        return;
    next_return_look_ = clock::now() + look_again;
    if (const auto role = role_to_return(); role && where_is_back(*role))
        ask_for("return");
}

Status array_service::return_member() {
    const auto role = role_to_return();
    const auto path = role ? where_is_back(*role) : std::nullopt;
    if (!path)
        return {};
    next_return_look_ = clock::now() + after_refusal;
    Status back = take_back_from(*role, *path);
    // Said once, however often it is tried.
    const std::string before = std::exchange(return_refused_, back ? "" : back.error().what);
    return before == return_refused_ ? Status{} : back;
}

Status array_service::take_back_from(uint32_t role, const std::string& path) {
    if (Status ok = let_member_go(role); !ok)
        return ok;
    auto device = open_newcomer(path, false);
    if (!device)
        return forward_error(device.error());
    auto own = what_returns(*device);
    if (!own)
        return with_hint(fail(own.error().err, "{} is back and cannot be member {} again: {}", path,
                              role, own.error().what),
                         "ringraid add gives it a whole rebuild");
    return take_back(std::move(*device), std::move(*own));
}

std::string array_service::readd_order(bool on) {
    readd_ = on;
    return to_line({{"schema", json_schema}, {"ok", true}});
}

}  // namespace rr
