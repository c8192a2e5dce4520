// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What an NVMe disk says of its own health: the SMART log page (NVM Express, Get Log
// Page, identifier 02h), read by the kernel's admin ioctl. A hint for people beside a
// member that failed, or before it does; nothing decides by it. SATA and SAS disks are
// smartd's, whose knowledge of vendors' attributes is not repeated here.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"

namespace rr {

struct disk_health {
    uint8_t warning = 0;      // bits of "critical warning"
    uint8_t spare = 0;        // percent
    uint8_t spare_least = 0;  // percent
    uint8_t used = 0;         // percent of its endurance; may be over 100
    uint64_t media_errors = 0;

    // "critical: spare is low; 3 % spare (least 10 %), 104 % used, 7 media errors"
    [[nodiscard]] std::string text() const;
};

inline constexpr size_t smart_log_bytes = 512;
[[nodiscard]] disk_health health_of_log(std::span<const uint8_t, smart_log_bytes> log);

// Of the block device at @path. Nothing: it is no NVMe disk, or does not say.
[[nodiscard]] std::optional<disk_health> read_health(const std::string& path);

}  // namespace rr
