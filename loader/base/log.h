// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the daemon says: one line a fact, to standard error, never per I/O. Lines are
// printable, whatever names they hold.
#pragma once

#include <cstdio>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"

namespace rr {

inline void log_line(const char* level, const std::string& text) {
    print_line(stderr, "ringraid: {}{}", level, text);
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
