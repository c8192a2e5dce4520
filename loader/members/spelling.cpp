// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "members/spelling.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <string_view>

namespace rr {
namespace {

// A device by its number, or a file of tests.
struct target {
    dev_t device = 0;
    ino_t inode = 0;
};

struct spelled_device {
    std::optional<target> leads_to;
    std::string path;  // empty: only a number was given
};

std::optional<unsigned> whole_number(std::string_view text) {
    unsigned value = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || rest != text.data() + text.size())
        return std::nullopt;
    return value;
}

std::optional<target> parse_number(std::string_view text) {
    const size_t colon = text.find(':');
    if (colon == std::string_view::npos)
        return std::nullopt;
    const auto high = whole_number(text.substr(0, colon)),
               low = whole_number(text.substr(colon + 1));
    if (!high || !low)
        return std::nullopt;
    return target{makedev(*high, *low), 0};
}

std::optional<target> look_up(const std::string& path) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0)
        return std::nullopt;
    if (S_ISBLK(info.st_mode))
        return target{info.st_rdev, 0};
    if (S_ISREG(info.st_mode))
        return target{info.st_dev, info.st_ino};
    return std::nullopt;
}

// "sdc" is /dev/sdc.
std::string in_dev(const std::string& name) {
    return name.starts_with('/') ? name : "/dev/" + name;
}

spelled_device parse(const std::string& spelled) {
    const size_t space = spelled.find(' ');
    if (auto number = parse_number(std::string_view(spelled).substr(0, space)))
        return {number, space == std::string::npos ? "" : spelled.substr(space + 1)};
    return {look_up(in_dev(spelled)), spelled};
}

bool is_gone(const member_device& member, const std::string& sysfs) {
    if (member.inode != 0)
        return !look_up(member.path);
    const std::string node =
        fmt::format("{}/dev/block/{}:{}", sysfs, major(member.device), minor(member.device));
    return ::access(node.c_str(), F_OK) != 0;
}

bool is_named(const member_device& member, const std::string& path) {
    return path == member.path ||
           (!member.kernel_name.empty() && in_dev(path) == in_dev(member.kernel_name));
}

}  // namespace

std::string absolute_path(const std::string& path) {
    std::error_code failed;
    const std::filesystem::path whole = std::filesystem::absolute(path, failed);
    return failed ? path : whole.string();
}

std::string spell_device(const std::string& typed) {
    if (whole_number(typed) || parse_number(typed))
        return typed;
    std::string path = absolute_path(typed);
    auto there = look_up(path);
    // A bare name that is nothing in this directory is the kernel's.
    if (!there && typed.find('/') == std::string::npos) {
        path = in_dev(typed);
        there = look_up(path);
    }
    if (!there || there->inode != 0)
        return path;
    return fmt::format("{}:{} {}", major(there->device), minor(there->device), path);
}

std::optional<size_t> find_device(const std::vector<const member_device*>& devices,
                                  const std::string& spelled, const std::string& sysfs) {
    const auto first = [&](const auto& is_meant) -> std::optional<size_t> {
        const auto found = std::find_if(devices.begin(), devices.end(), [&](const auto* device) {
            return device != nullptr && is_meant(*device);
        });
        if (found == devices.end())
            return std::nullopt;
        return static_cast<size_t>(found - devices.begin());
    };
    const spelled_device meant = parse(spelled);
    if (const auto& there = meant.leads_to) {
        if (auto found = first([&](const member_device& m) {
                return m.device == there->device && m.inode == there->inode;
            }))
            return found;
        const device_identity disk = identify_device(there->device, sysfs);
        if (auto found = first([&](const member_device& m) {
                // Two disks may have one serial: the other one is not meant while its
                // twin is there.
                return there->inode == 0 && disk.strong && same_disk(m.identity, disk) &&
                       is_gone(m, sysfs);
            }))
            return found;
    }
    return first([&](const member_device& m) {
        return !meant.path.empty() && is_named(m, meant.path) &&
               (!meant.leads_to || is_gone(m, sysfs));
    });
}

}  // namespace rr
