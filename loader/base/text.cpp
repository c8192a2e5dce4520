// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/text.h"

#include <cstdint>

namespace rr {
namespace {

struct decoded {
    uint32_t point;
    size_t bytes;  // 0: no UTF-8 here
};

uint8_t byte_at(std::string_view text, size_t at) {
    return at < text.size() ? static_cast<uint8_t>(text[at]) : uint8_t{0};
}

// Neither longer than needed, nor a surrogate, nor beyond Unicode.
decoded decode(std::string_view text, size_t at) {
    const uint8_t lead = byte_at(text, at);
    if (lead < 0x80)
        return {lead, 1};
    const size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 0;
    if (bytes == 0 || lead >= 0xf8)
        return {0, 0};
    uint32_t point = lead & (0x7fU >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        const uint8_t next = byte_at(text, at + i);
        if ((next & 0xc0) != 0x80)
            return {0, 0};
        point = point << 6 | (next & 0x3fU);
    }
    constexpr uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < least[bytes] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
        return {0, 0};
    return {point, bytes};
}

// Breaks lines, turns the direction of text, or cannot be seen.
bool misleads(uint32_t point) {
    return (point >= 0x80 && point < 0xa0) || (point >= 0x200b && point <= 0x200f) ||
           (point >= 0x2028 && point <= 0x202e) || (point >= 0x2060 && point <= 0x206f) ||
           point == 0x061c || point == 0xfeff || (point & 0xfffe) == 0xfffe ||
           (point >= 0xfff9 && point <= 0xfffb) || (point >= 0xe0000 && point <= 0xe007f);
}

std::string escaped_control(uint32_t c) {
    switch (c) {
        case '\n':
            return "\\n";
        case '\r':
            return "\\r";
        case '\t':
            return "\\t";
        default:
            return fmt::format("\\x{:02x}", c);
    }
}

}  // namespace

std::string printable(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        const decoded next = decode(text, at);
        if (next.bytes == 0) {
            out += fmt::format("\\x{:02x}", byte_at(text, at));
            at++;
            continue;
        }
        if (next.point < 0x20 || next.point == 0x7f)
            out += escaped_control(next.point);
        else if (misleads(next.point))
            out += fmt::format("\\u{:04x}", next.point);
        else
            out += text.substr(at, next.bytes);
        at += next.bytes;
    }
    return out;
}

}  // namespace rr
