// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the daemon says: one line a fact, to standard error, never per I/O.
#pragma once

#include <cstdio>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace rr {

inline void log_line(const char* level, const std::string& text) {
    std::string line = fmt::format("ringraid: {}{}\n", level, text);
    std::fwrite(line.data(), 1, line.size(), stderr);
}

template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
    log_line("", fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
    log_line("error: ", fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace rr
