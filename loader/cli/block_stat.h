// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the block layer counted of a device, from /sys/dev/block/MAJOR:MINOR/stat. NVMe
// commands past the block layer are not in it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace rr::cli {

struct block_stat {
    uint64_t reads = 0, read_sectors = 0, read_ms = 0;
    uint64_t writes = 0, write_sectors = 0, write_ms = 0;
    uint64_t flushes = 0, flush_ms = 0;
    uint64_t busy_ms = 0;
};

// Of the device at @path; nothing: there is none.
std::optional<block_stat> read_block_stat(const std::string& path);
// Of the text of such a file.
std::optional<block_stat> parse_block_stat(const std::string& text);

}  // namespace rr::cli
