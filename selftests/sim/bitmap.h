// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A member's copy of the write-intent bitmap, behind the same volatile write cache as
// its rows: two images, by sector, as in disk.h.
//
// What a flush of the member's rows makes durable is no matter here, and the other way
// round: the order between the two is the control plane's (loader/service/bitmap.h).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "md/bitmap.h"
#include "rng.h"

namespace rr::sim {

class bitmap_disk {
public:
    // All of it, durable.
    void format(const md::bitmap& image);
    void write(const md::bitmap& image, uint32_t page);
    void flush();
    void power_cut(rng& chance);

    // Whether it is set whatever happens.
    [[nodiscard]] bool holds(uint64_t bit) const;
    [[nodiscard]] std::span<const uint8_t> bytes() const { return now_; }

private:
    std::vector<uint8_t> now_, stable_;
    std::vector<uint32_t> dirty_;  // sectors
};

}  // namespace rr::sim
