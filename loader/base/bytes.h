// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Little-endian numbers in byte buffers, for on-disk formats.
//
// Byte by byte, so alignment and the host's byte order do not matter; current
// compilers make one load or store of it. The caller guarantees that
// offset + sizeof(T) lies within the span: formats here have fixed sizes that
// are checked once, when the buffer is accepted.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace rr {

template <typename T>
[[nodiscard]] T load_le(std::span<const uint8_t> from, size_t offset) {
    static_assert(std::is_integral_v<T>);
    assert(offset + sizeof(T) <= from.size());
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof(T); i++)
        value |= uint64_t{from[offset + i]} << (8 * i);
    return static_cast<T>(value);
}

template <typename T>
void store_le(std::span<uint8_t> to, size_t offset, T value) {
    static_assert(std::is_integral_v<T>);
    assert(offset + sizeof(T) <= to.size());
    const auto bits = static_cast<uint64_t>(value);
    for (size_t i = 0; i < sizeof(T); i++)
        to[offset + i] = static_cast<uint8_t>(bits >> (8 * i));
}

}  // namespace rr
