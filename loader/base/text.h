// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Text of others on a terminal or in a log.
//
// The name of an array is 32 bytes of somebody's disk: it may hold what moves a
// cursor, forges a line of a log, or is no text at all. So whatever is printed
// for people goes through printable(), line by line, whole: a part that was
// forgotten cannot be. JSON has its own escapes (to_line() in the service).
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace rr {

// One line, safe to print: control characters as \n, \t, \x1b, bytes that are no
// UTF-8 as \xff, characters that break lines or turn the direction of text as
// \u202e. Everything else stays, a backslash too: device paths have some.
[[nodiscard]] std::string printable(std::string_view text);

// The line that @format makes, printable, and its end.
template <typename... Args>
void print_line(std::FILE* to, fmt::format_string<Args...> format, Args&&... args) {
    std::string line = printable(fmt::format(format, std::forward<Args>(args)...));
    line += '\n';
    std::fwrite(line.data(), 1, line.size(), to);
}

}  // namespace rr
