// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cli/block_stat.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

namespace rr::cli {

std::optional<block_stat> parse_block_stat(const std::string& text) {
    std::istringstream words(text);
    const std::vector<uint64_t> n{std::istream_iterator<uint64_t>(words), {}};
    if (n.size() < 11)
        return std::nullopt;
    block_stat out{n[0], n[2], n[3], n[4], n[6], n[7], 0, 0, n[9]};
    if (n.size() >= 17) {
        out.flushes = n[15];
        out.flush_ms = n[16];
    }
    return out;
}

std::optional<block_stat> read_block_stat(const std::string& path) {
    struct stat about{};
    if (::stat(path.c_str(), &about) != 0 || !S_ISBLK(about.st_mode))
        return std::nullopt;
    std::ifstream file(
        fmt::format("/sys/dev/block/{}:{}/stat", major(about.st_rdev), minor(about.st_rdev)));
    return parse_block_stat({std::istreambuf_iterator<char>(file), {}});
}

}  // namespace rr::cli
