// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "export/clients.h"

#include <filesystem>
#include <fstream>

#include "md/superblock.h"
#include "service/ownership.h"

namespace rr {
namespace {

namespace fs = std::filesystem;

std::string line_of(const fs::path& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    while (line.ends_with(' '))
        line.pop_back();
    return line;
}

// A partition lies in the directory of its disk.
fs::path disk_of(const std::string& kernel_name, const std::string& sysfs) {
    std::error_code error;
    const fs::path node = fs::canonical(fs::path(sysfs) / "class/block" / kernel_name, error);
    return fs::exists(node / "partition", error) ? node.parent_path() : node;
}

bool shows(const fs::path& disk, const export_spec& spec) {
    auto id = md::parse_uuid(spec.array);
    switch (spec.kind) {
        case export_kind::nvme_tcp:
            return id && line_of(disk / "uuid") == blkid_form(*id);
        case export_kind::iscsi:
            // A model has 16 characters.
            return line_of(disk / "device/vendor") == "LIO-ORG" &&
                   line_of(disk / "device/model") == spec.name.substr(0, 16);
        case export_kind::nbd:
            return disk.filename().string().starts_with("nbd");
        case export_kind::vduse:
            return disk.string().find('/' + spec.name + "/virtio") != std::string::npos;
        case export_kind::fuse:
            return line_of(disk / "loop/backing_file") == spec.path;
        case export_kind::vhost_user:
            break;
    }
    return false;
}

}  // namespace

std::optional<std::string> export_shown_by(const std::string& kernel_name,
                                           const std::vector<export_spec>& exports,
                                           const std::string& sysfs) {
    const fs::path disk = disk_of(kernel_name, sysfs);
    for (const export_spec& spec : exports) {
        if (!disk.empty() && shows(disk, spec))
            return spec.name;
    }
    return std::nullopt;
}

}  // namespace rr
