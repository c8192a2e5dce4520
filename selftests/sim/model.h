// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What an array sector may hold: the dumb reference that knows no RAID.
//
// Per sector a list of candidates, one for each write that may be what a read
// finds. A write enters when it is submitted. It leaves when another write is
// acknowledged that was submitted after this one was answered; until then, and
// between two writes that overlapped in time, either is right. A write that
// was answered with an error may or may not be there, and replaces nothing.
//
// A read may return whatever was a candidate at any moment between its own
// submission and its answer: candidates that have left are kept for the reads
// that began before.
//
// After a power cut more may come back: a candidate is gone for good only when
// what replaced it was acknowledged before a flush was submitted that was
// acknowledged, or was itself acknowledged FUA.
//
// A write is known by its version; a client that changes its pages in flight
// writes two versions at once. Version 0 is what the disks were made with.
#pragma once

#include <cstdint>
#include <vector>

#include "rng.h"

namespace rr::sim {

class model {
public:
    void reset(uint64_t seed, uint32_t sectors, bool power_cuts);

    uint64_t value(uint32_t sector, uint32_t version) const {
        if (version < zero_.size() && zero_[version])
            return 0;
        return mix(seed_ ^ (static_cast<uint64_t>(version) << 24) ^ sector);
    }

    // What @version writes is zeros.
    void zeroes(uint32_t version) {
        if (version >= zero_.size())
            zero_.resize(version + 1);
        zero_[version] = true;
    }
    void submit(uint32_t sector, uint32_t version, uint32_t time);
    // Versions [first, last] of a write submitted at `submitted` were acknowledged.
    void acknowledge(uint32_t sector, uint32_t first, uint32_t last, uint32_t submitted,
                     uint32_t time, bool fua, uint32_t oldest_read);
    // ... were answered with an error.
    void refuse(uint32_t sector, uint32_t first, uint32_t last, uint32_t time);
    // A flush submitted at `submitted` was acknowledged.
    void flushed(uint32_t submitted) {
        if (submitted > flush_floor_)
            flush_floor_ = submitted;
    }

    bool may_read(uint32_t sector, uint64_t value, uint32_t submitted) const;
    bool may_survive(uint32_t sector, uint64_t value) const;
    // A write of it has not been answered.
    bool is_written(uint32_t sector) const;
    // After a power cut: the sector holds what it holds. False when it may not.
    bool settle(uint32_t sector, uint64_t value);

private:
    static constexpr uint32_t none = UINT32_MAX;
    static constexpr uint32_t never = UINT32_MAX;

    struct candidate {
        uint32_t version, answered, replaced, next;
        bool replaced_durably;
    };

    uint32_t add(uint32_t sector, uint32_t version, uint32_t answered);
    void open(uint32_t sector);

    uint64_t seed_ = 0;
    bool power_cuts_ = false;
    uint32_t flush_floor_ = 0;
    std::vector<bool> zero_;      // by version
    std::vector<uint32_t> head_;  // none: version 0 alone
    std::vector<candidate> pool_;
    uint32_t free_ = none;
};

}  // namespace rr::sim
