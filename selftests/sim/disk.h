// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A member: sectors behind a volatile write cache.
//
// A sector is one 64-bit value (in the arena: the same word 64 times), so XOR
// works on values as it does on sectors and a disk is a small array. Only the
// rows of the stripes that a schedule uses exist.
//
// Two images: what a read returns now, and what survives a power cut. A write
// changes the first; a flush, FUA, or the disk's own mood (a sector that is
// overwritten may have been destaged before) copies into the second. At a cut
// each unflushed sector keeps the new or the old value by itself, so writes
// are lost, reordered and torn by sector.
//
// A bad sector cannot be read until it is written; below, its content is kept,
// since that is what the rest of the array still has to agree with.
#pragma once

#include <cstdint>
#include <vector>

#include "rng.h"

namespace rr::sim {

class disk {
public:
    void reset(uint32_t sectors);
    void format(uint32_t row, uint64_t value) { now_[row] = stable_[row] = value; }

    uint64_t at(uint32_t row) const { return now_[row]; }
    bool bad(uint32_t row) const { return (flags_[row] & flag_bad) != 0; }
    void spoil(uint32_t row) { flags_[row] |= flag_bad; }

    // `writer` names the request that the write belongs to, 0 for none.
    void write(uint32_t row, uint64_t value, uint32_t writer, bool fua, rng& chance);
    void flush();
    void power_cut(rng& chance);

    // Calls f(writer, row) for every sector that a power cut could lose.
    template <typename F>
    void each_dirty(F f) const {
        for (uint32_t row : dirty_)
            if (flags_[row] & flag_dirty)
                f(writer_[row], row);
    }

    bool vanished = false;      // answers everything with an error
    uint32_t write_errors = 0;  // so many writes from now on fail
    uint32_t flush_errors = 0;

private:
    static constexpr uint8_t flag_dirty = 1;
    static constexpr uint8_t flag_bad = 2;

    std::vector<uint64_t> now_, stable_;
    std::vector<uint32_t> writer_, dirty_;
    std::vector<uint8_t> flags_;
};

}  // namespace rr::sim
