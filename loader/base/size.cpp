// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/size.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>

namespace rr {

Result<uint64_t> parse_bytes(const std::string& text) {
    uint64_t value = 0;
    const char* end = text.data() + text.size();
    auto [rest, error] = std::from_chars(text.data(), end, value);
    std::string_view suffix(rest, static_cast<size_t>(end - rest));
    unsigned shift = suffix == "K" || suffix == "k"   ? 10
                     : suffix == "M" || suffix == "m" ? 20
                     : suffix == "G" || suffix == "g" ? 30
                     : suffix.empty()                 ? 0
                                                      : 64;
    if (error != std::errc() || shift == 64 || (value << shift) >> shift != value)
        return with_hint(fail(EINVAL, "{} is not a size", text), "write it as 512K, 64M or 1G");
    return value << shift;
}

Result<uint64_t> parse_seconds(const std::string& text) {
    constexpr uint64_t most = 365 * 24 * 3600;
    uint64_t value = 0;
    const char* end = text.data() + text.size();
    auto [rest, error] = std::from_chars(text.data(), end, value);
    const std::string_view suffix(rest, static_cast<size_t>(end - rest));
    const uint64_t unit = suffix == "h" ? 3600 : suffix == "m" ? 60 : suffix == "s" ? 1 : 0;
    const bool nothing = suffix.empty() && value == 0;
    if (error != std::errc() || (unit == 0 && !nothing) ||
        value > most / std::max<uint64_t>(unit, 1))
        return with_hint(fail(EINVAL, "{} is no time", text), "write it as 6h, 30m or 90s");
    return value * unit;
}

}  // namespace rr
