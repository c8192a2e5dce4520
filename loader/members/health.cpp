// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "members/health.h"

#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <array>

#include "base/fd.h"

namespace rr {
namespace {

constexpr uint8_t get_log_page = 0x02;
constexpr uint32_t smart_page = 0x02;
constexpr uint32_t of_controller = 0xffffffff;

// By bit.
constexpr std::array warnings = {"spare is low",        "temperature",
                                 "reliability is lost", "read-only",
                                 "backup has failed",   "persistent memory is read-only"};

}  // namespace

std::string disk_health::text() const {
    std::string out;
    for (size_t bit = 0; bit < warnings.size(); bit++) {
        if ((warning >> bit & 1) != 0)
            out += fmt::format("{}{}", out.empty() ? "critical: " : ", ", warnings[bit]);
    }
    return fmt::format("{}{}{} % spare (least {} %), {} % used, {} media errors", out,
                       out.empty() ? "" : "; ", spare, spare_least, used, media_errors);
}

disk_health health_of_log(std::span<const uint8_t, smart_log_bytes> log) {
    constexpr size_t media_errors_at = 160;  // of 16 bytes, whose upper half nobody fills
    disk_health out;
    out.warning = log[0];
    out.spare = log[3];
    out.spare_least = log[4];
    out.used = log[5];
    for (size_t i = 0; i < sizeof(out.media_errors); i++)
        out.media_errors |= uint64_t{log[media_errors_at + i]} << (8 * i);
    return out;
}

std::optional<disk_health> read_health(const std::string& path) {
    const Fd disk(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    struct stat about{};
    if (!disk || ::fstat(disk.get(), &about) != 0 || !S_ISBLK(about.st_mode) ||
        ::ioctl(disk.get(), NVME_IOCTL_ID) <= 0)
        return std::nullopt;
    std::array<uint8_t, smart_log_bytes> log{};
    nvme_admin_cmd command{};
    command.opcode = get_log_page;
    command.nsid = of_controller;
    command.addr = reinterpret_cast<uintptr_t>(log.data());
    command.data_len = smart_log_bytes;
    command.cdw10 = smart_page | (smart_log_bytes / 4 - 1) << 16;
    if (::ioctl(disk.get(), NVME_IOCTL_ADMIN_CMD, &command) != 0)
        return std::nullopt;
    return health_of_log(log);
}

}  // namespace rr
