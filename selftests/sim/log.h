// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A member's partial parity log: bytes, by sector, of which a write that is cut off leaves
// any. A unit that is whole is durable (the writer asks for that), so what a cache could
// lose is what is in flight.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "md/superblock.h"
#include "rng.h"

namespace rr::sim {

class log_disk {
public:
    // Empty, as a start leaves it.
    void format(uint64_t sectors);
    void begin(uint64_t sector, std::span<const uint8_t> bytes);
    void end();
    [[nodiscard]] bool ends_quietly() const;
    // What is in flight ends here.
    void cut(rng& chance);

    [[nodiscard]] bool in_flight() const { return !flying_.empty(); }
    [[nodiscard]] std::span<const uint8_t> bytes() const { return bytes_; }

private:
    std::vector<uint8_t> bytes_, flying_;
    uint64_t at_ = 0;
};

}  // namespace rr::sim
