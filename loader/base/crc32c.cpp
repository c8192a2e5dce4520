// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/crc32c.h"

#include <cstring>

#ifdef __x86_64__
#include <nmmintrin.h>
#endif

#include "ringraid/chain_sum.h"

namespace rr {

uint32_t crc32c_by_tables(std::span<const uint8_t> bytes) {
    return chain_crc32c(bytes.data(), static_cast<uint32_t>(bytes.size()));
}

#ifdef __x86_64__

namespace {

[[gnu::target("sse4.2")]] uint64_t eight(uint64_t sum, const uint8_t* at) {
    uint64_t word;
    std::memcpy(&word, at, sizeof(word));
    return _mm_crc32_u64(sum, word);
}

[[gnu::target("sse4.2")]] uint32_t by_instruction(std::span<const uint8_t> bytes) {
    uint64_t sum = 0xffffffff;
    const uint8_t* at = bytes.data();
    const uint8_t* const end = at + bytes.size();
    for (; end - at >= 128; at += 128) {
#pragma GCC unroll 16
        for (int i = 0; i < 128; i += 8)
            sum = eight(sum, at + i);
    }
    for (; end - at >= 8; at += 8)
        sum = eight(sum, at);
    for (; at != end; at++)
        sum = _mm_crc32_u8(static_cast<uint32_t>(sum), *at);
    return ~static_cast<uint32_t>(sum);
}

}  // namespace

bool crc32c_has_instruction() {
    return __builtin_cpu_supports("sse4.2") != 0;
}

uint32_t crc32c(std::span<const uint8_t> bytes) {
    return crc32c_has_instruction() ? by_instruction(bytes) : crc32c_by_tables(bytes);
}

#else

bool crc32c_has_instruction() {
    return false;
}

uint32_t crc32c(std::span<const uint8_t> bytes) {
    return crc32c_by_tables(bytes);
}

#endif

}  // namespace rr
