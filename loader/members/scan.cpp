// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "members/scan.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "base/first_line.h"
#include "members/member.h"

namespace rr {
namespace {

namespace fs = std::filesystem;

// In /dev/disk/by-id, but made from what the device holds: a copy's too.
constexpr std::array<std::string_view, 3> content_links{
    "disk/by-id/lvm-pv-uuid-", "disk/by-id/md-uuid-", "disk/by-id/md-name-"};

// The kernel's own limit of stacked devices is about this.
constexpr int stack_depth_max = 10;

struct block_node {
    std::string name;
    dev_t device = 0;
};

std::optional<dev_t> number_of(const fs::path& node) {
    unsigned major_number = 0, minor_number = 0;
    if (std::sscanf(first_line(node / "dev").c_str(), "%u:%u", &major_number, &minor_number) != 2)
        return std::nullopt;
    return makedev(major_number, minor_number);
}

// What the kernel itself shows in /proc/partitions: not hidden, not empty.
bool is_shown(const fs::path& node) {
    const std::string sectors = first_line(node / "size");
    return first_line(node / "hidden") != "1" && !sectors.empty() && sectors != "0";
}

std::vector<block_node> block_nodes(const scan_options& options) {
    std::vector<block_node> out;
    std::error_code failed;
    for (const auto& entry :
         fs::directory_iterator(fs::path(options.sysfs) / "class/block", failed)) {
        const auto device = number_of(entry.path());
        if (device && is_shown(entry.path()))
            out.push_back({entry.path().filename().string(), *device});
    }
    std::sort(out.begin(), out.end(),
              [](const block_node& a, const block_node& b) { return a.device < b.device; });
    return out;
}

// The devices that are made of @node, by their kernel names.
std::string holders_of(const fs::path& node) {
    std::string names;
    std::error_code failed;
    for (const auto& entry : fs::directory_iterator(node / "holders", failed))
        names += (names.empty() ? "" : ", ") + entry.path().filename().string();
    return names;
}

bool leads_to(const std::string& path, dev_t device, const scan_options& options) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0)
        return false;
    return S_ISBLK(info.st_mode) ? info.st_rdev == device
                                 : options.allow_regular_file && S_ISREG(info.st_mode);
}

// The first by-id link in udev's database, in the order of the alphabet.
std::string udev_link(dev_t device, const scan_options& options) {
    std::ifstream file(fmt::format("{}/b{}:{}", options.udev, major(device), minor(device)));
    std::string best;
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with("S:disk/by-id/"))
            continue;
        const std::string link = line.substr(2);
        const bool content = std::any_of(content_links.begin(), content_links.end(),
                                         [&](std::string_view c) { return link.starts_with(c); });
        if (!content && (best.empty() || link < best) &&
            leads_to(options.dev + "/" + link, device, options))
            best = link;
    }
    return best.empty() ? "" : options.dev + "/" + best;
}

class scanner {
public:
    explicit scanner(const scan_options& options) : options_(options) {}

    void look_at(const block_node& node) {
        if (options_.wanted && !options_.wanted(node.name))
            return;
        const std::string path = device_name(node.name, node.device, options_);
        if (const auto reason = why_left_alone(node.name, stack_depth_max))
            return pass(path, EBUSY, *reason);
        const std::string above = holders_of(fs::path(options_.sysfs) / "class/block" / node.name);
        if (above.empty())
            return read(node, path);
        pass(path, EBUSY, "is a part of " + above);
        result.passed.back().superblock = superblock_of(path);
    }

    scan_result result;

private:
    void pass(const std::string& path, int err, const std::string& why) {
        result.passed.push_back({path, Error{err, path + " " + why, ""}});
    }

    // A read of a map is a read of what it is made of.
    std::optional<std::string> why_left_alone(const std::string& name, int depth) const {
        if (!options_.leave_alone)
            return std::nullopt;
        if (auto reason = options_.leave_alone(name))
            return reason;
        const fs::path slaves = fs::path(options_.sysfs) / "class/block" / name / "slaves";
        std::error_code failed;
        for (const auto& entry : fs::directory_iterator(slaves, failed)) {
            const std::string below = entry.path().filename().string();
            if (depth > 0 && why_left_alone(below, depth - 1))
                return fmt::format("is made of {}, which must be left alone", below);
        }
        return std::nullopt;
    }

    Result<member_device> open(const std::string& path) const {
        return open_member(path,
                           {.allow_regular_file = options_.allow_regular_file, .read_only = true});
    }

    std::optional<md::md_superblock> superblock_of(const std::string& path) const {
        auto device = open(path);
        if (!device)
            return std::nullopt;
        auto superblock = md::read_superblock(device->fd.get());
        return superblock ? std::optional(std::move(*superblock)) : std::nullopt;
    }

    void read(const block_node& node, const std::string& path) {
        auto device = open(path);
        if (!device) {
            result.passed.push_back({path, device.error()});
            return;
        }
        auto superblock = md::read_superblock(device->fd.get());
        // Nothing there is no news; a superblock that is damaged or unreadable is.
        if (!superblock && superblock.error().err != ENODATA)
            result.passed.push_back(
                {path, Error{superblock.error().err, path + ": " + superblock.error().what,
                             superblock.error().hint}});
        if (!superblock)
            return;
        result.members.push_back({path, node.device, std::move(device->identity), device->sectors,
                                  std::move(*superblock)});
    }

    const scan_options& options_;
};

}  // namespace

std::string device_name(const std::string& name, dev_t device, const scan_options& options) {
    const std::string map = first_line(fs::path(options.sysfs) / "class/block" / name / "dm/name");
    if (const std::string path = options.dev + "/mapper/" + map;
        !map.empty() && leads_to(path, device, options))
        return path;
    if (std::string link = udev_link(device, options); !link.empty())
        return link;
    return options.dev + "/" + name;
}

bool is_held(const std::string& path) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
    return !fd && errno == EBUSY;
}

scan_result scan_members(const scan_options& options) {
    scanner all(options);
    for (const block_node& node : block_nodes(options))
        all.look_at(node);
    return std::move(all.result);
}

std::vector<passed_device> held_members(const scan_result& scan, const md::uuid& set_uuid) {
    std::vector<passed_device> held;
    for (const passed_device& device : scan.passed) {
        if (!device.superblock || device.superblock->set_uuid != set_uuid)
            continue;
        const bool shown = std::ranges::any_of(scan.members, [&](const found_member& m) {
            return m.superblock.set_uuid == set_uuid &&
                   m.superblock.device_uuid == device.superblock->device_uuid;
        });
        if (!shown)
            held.push_back(device);
    }
    return held;
}

scan_result find_members(const md::uuid& set_uuid, const scan_options& options) {
    scan_result found = scan_members(options);
    std::erase_if(found.members,
                  [&](const found_member& m) { return m.superblock.set_uuid != set_uuid; });
    return found;
}

}  // namespace rr
