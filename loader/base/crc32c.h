// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// CRC-32C, as everybody has it: 0xe3069283 of "123456789".
//
// By the CPU's own instruction where it has one (x86-64 with SSE 4.2): 0.7k instructions of
// 4 KiB, where tables take 16k; a write of the partial parity log has one of each entry.
// Else by the tables that stores are read with (ringraid/chain_sum.h).
#pragma once

#include <cstdint>
#include <span>

namespace rr {

[[nodiscard]] uint32_t crc32c(std::span<const uint8_t> bytes);

// What crc32c() is made of, for its test. Without the instruction both are by tables.
[[nodiscard]] bool crc32c_has_instruction();
[[nodiscard]] uint32_t crc32c_by_tables(std::span<const uint8_t> bytes);

}  // namespace rr
