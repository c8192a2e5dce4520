// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "store/libbpf_words.h"

#include <cstdarg>
#include <cstdio>

namespace rr::store {
namespace {

thread_local std::string words;

int keep_warnings(libbpf_print_level level, const char* format, va_list args) {
    if (level != LIBBPF_WARN)
        return 0;
    char line[1024];
    std::vsnprintf(line, sizeof(line), format, args);
    words = line;
    while (!words.empty() && words.back() == '\n')
        words.pop_back();
    return 0;
}

}  // namespace

libbpf_listener::libbpf_listener() : before_(libbpf_set_print(keep_warnings)) {
    words.clear();
}

const std::string& last_words() {
    return words;
}

}  // namespace rr::store
