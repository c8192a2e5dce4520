// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "disk.h"

namespace rr::sim {

void disk::reset(uint32_t sectors) {
    now_.assign(sectors, 0);
    stable_.assign(sectors, 0);
    writer_.assign(sectors, 0);
    flags_.assign(sectors, 0);
    dirty_.clear();
    vanished = false;
    write_errors = flush_errors = 0;
}

void disk::write(uint32_t row, uint64_t value, uint32_t writer, bool fua, rng& chance) {
    uint8_t& flags = flags_[row];
    flags &= static_cast<uint8_t>(~flag_bad);
    if (fua) {
        now_[row] = stable_[row] = value;
        flags &= static_cast<uint8_t>(~flag_dirty);
        return;
    }
    if (flags & flag_dirty) {
        if (chance.per_mille(250))
            stable_[row] = now_[row];
    } else {
        flags |= flag_dirty;
        dirty_.push_back(row);
    }
    now_[row] = value;
    writer_[row] = writer;
}

void disk::flush() {
    for (uint32_t row : dirty_) {
        stable_[row] = now_[row];
        flags_[row] &= static_cast<uint8_t>(~flag_dirty);
    }
    dirty_.clear();
}

void disk::power_cut(rng& chance) {
    for (uint32_t row : dirty_) {
        if (!(flags_[row] & flag_dirty))
            continue;
        if (chance.below(2))
            now_[row] = stable_[row];
        else
            stable_[row] = now_[row];
        flags_[row] &= static_cast<uint8_t>(~flag_dirty);
    }
    dirty_.clear();
    vanished = false;
    write_errors = flush_errors = 0;
}

}  // namespace rr::sim
