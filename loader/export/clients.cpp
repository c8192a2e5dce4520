// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "export/clients.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/first_line.h"

namespace rr {
namespace {

namespace fs = std::filesystem;

// SCSI pads its names.
std::string padded_line(const fs::path& path) {
    std::string line = first_line(path);
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

// LIO gives the array's uuid for a serial. Its name for the disk is that of the kind of
// backstore, the same for all.
bool is_lun(const fs::path& disk, const export_spec& spec) {
    if (padded_line(disk / "device/vendor") != "LIO-ORG")
        return false;
    std::ifstream page(disk / "device/vpd_pg80", std::ios::binary);
    const std::string serial{std::istreambuf_iterator<char>(page), {}};
    return serial.empty() || serial.find(uuid_of(spec)) != std::string::npos;
}

bool is_of_nbd(const fs::path& disk) {
    return disk.filename().string().starts_with("nbd");
}

bool shows(const fs::path& disk, const export_spec& spec) {
    switch (spec.kind) {
        case export_kind::nvme_tcp:
            return padded_line(disk / "uuid") == uuid_of(spec);
        case export_kind::iscsi:
            return is_lun(disk, spec);
        case export_kind::nbd:
        case export_kind::vhost_user:
            return is_of_nbd(disk);
        case export_kind::vduse:
            return disk.string().find('/' + spec.name + "/virtio") != std::string::npos ||
                   (spec.driver == "vhost_vdpa" && is_of_nbd(disk));
        case export_kind::fuse:
            return padded_line(disk / "loop/backing_file") == spec.path;
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
