// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/first_line.h"

#include <fstream>

namespace rr {

std::string first_line(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

}  // namespace rr
