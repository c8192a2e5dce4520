// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "members/fabrics.h"

#include <sys/sysmacros.h>

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "base/first_line.h"

namespace rr {
namespace {

namespace fs = std::filesystem;

bool is_local(const std::string& transport) {
    return transport.empty() || transport == "pcie" || transport == "apple-nvme";
}

bool is_controller(const fs::path& at) {
    std::error_code ignored;
    return fs::exists(at / "transport", ignored);
}

// A namespace's device is its controller, or the subsystem that has links to all of them.
std::vector<fs::path> controllers_of(const fs::path& device) {
    if (is_controller(device))
        return {device};
    std::vector<fs::path> out;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(device, ignored)) {
        if (entry.path().filename().string().starts_with("nvme") && is_controller(entry.path()))
            out.push_back(entry.path());
    }
    std::ranges::sort(out);
    return out;
}

std::vector<fabrics_path> remote(const std::vector<fs::path>& controllers) {
    std::vector<fabrics_path> out;
    for (const fs::path& at : controllers) {
        const std::string transport = first_line(at / "transport");
        if (is_local(transport))
            continue;
        out.push_back({at.filename(), transport, first_line(at / "address"),
                       first_line(at / "subsysnqn"), first_line(at / "state"),
                       first_line(at / "fast_io_fail_tmo"), first_line(at / "ctrl_loss_tmo")});
    }
    return out;
}

std::vector<fabrics_path> paths_of(const fs::path& node) {
    std::error_code gone;
    const fs::path real = fs::canonical(node, gone);
    if (gone)
        return {};
    const fs::path disk = fs::exists(real / "partition", gone) ? real.parent_path() : real;
    const fs::path of = fs::canonical(disk / "device", gone);
    return gone ? std::vector<fabrics_path>{} : remote(controllers_of(of));
}

}  // namespace

std::vector<fabrics_path> fabrics_paths(dev_t device, const std::string& sysfs) {
    return paths_of(fmt::format("{}/dev/block/{}:{}", sysfs, major(device), minor(device)));
}

std::vector<fabrics_path> fabrics_paths_of(const std::string& name, const std::string& sysfs) {
    return paths_of(fs::path(sysfs) / "class/block" / name);
}

std::vector<fabrics_path> all_fabrics_paths(const std::string& sysfs) {
    return remote(controllers_of(sysfs + "/class/nvme"));
}

std::string fabrics_wait(const fabrics_path& path) {
    for (const std::string* limit : {&path.fast_io_fail, &path.ctrl_loss}) {
        if (!limit->empty() && *limit != "off")
            return *limit + " s";
    }
    return "for ever";
}

std::string fabrics_warning(const std::string& device, const std::vector<fabrics_path>& paths) {
    auto unset = std::ranges::find_if(
        paths, [](const fabrics_path& path) { return path.fast_io_fail == "off"; });
    if (unset == paths.end())
        return "";
    return fmt::format(
        "{} ({}, {}): fast_io_fail_tmo is off: while its connection is away the whole array "
        "waits, {} (ctrl_loss_tmo); echo 5 >/sys/class/nvme/{}/fast_io_fail_tmo, or connect "
        "with --fast_io_fail_tmo=5",
        device, unset->controller, unset->transport, fabrics_wait(*unset), unset->controller);
}

}  // namespace rr
