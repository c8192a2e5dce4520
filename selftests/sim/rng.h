// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Chance, from a seed: splitmix64. Everything random in a schedule is drawn
// from one of these in a fixed order, so a seed is a schedule.
#pragma once

#include <cstdint>

namespace rr::sim {

constexpr uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

class rng {
public:
    explicit rng(uint64_t seed = 0) : state_(mix(seed)) {}

    uint64_t next() { return mix(state_ += 0x632be59bd9b4e019ULL); }
    // 0..n-1; n is not 0.
    uint32_t below(uint32_t n) {
        return static_cast<uint32_t>((static_cast<uint64_t>(static_cast<uint32_t>(next())) * n) >>
                                     32);
    }
    // Both ends included.
    uint32_t between(uint32_t from, uint32_t to) { return from + below(to - from + 1); }
    bool per_mille(uint32_t n) { return n != 0 && below(1000) < n; }

private:
    uint64_t state_;
};

}  // namespace rr::sim
