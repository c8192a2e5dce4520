// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Parity made right from partial parity logs (md/ppl.h), before an array that was not
// stopped cleanly is served: parity := partial parity ^ the written blocks as they are.
//
// A row is left as it is, and told, where
//
//   a written block is missing   it was in flight, and what it holds is known to nobody;
//                                the other blocks of the row are where they were
//   a written block or parity
//   cannot be read or written    the array's parity is not right there
//
// A member that takes no parity, or cannot be flushed, gets no more, and is told: who has all
// members can do without that one, for the others' rows are made right.
//
// A row whose partial parity is torn was not begun: parity is right as it is.
// Cut off anywhere, it can be done again: data and logs are only read.
//
// Rows, data and parity, are durable when replay() returns, but on those. Blocking, one row after
// the other: a log holds a few hundred.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "md/ppl.h"
#include "resync/resync.h"

namespace rr {

struct replay_member {
    int fd = -1;               // -1: missing
    uint64_t data_offset = 0;  // sectors
    uint64_t sectors = 0;      // of its data that are there
    std::optional<md::ppl_unit> log;
};

// Blocks of the array: whose member is missing, and which were being written.
struct lost_blocks {
    uint64_t sector = 0;
    uint64_t sectors = 0;
    uint32_t role = 0;
    bool operator==(const lost_blocks&) const = default;
};

struct replay_report {
    uint32_t entries = 0;         // of all logs
    uint32_t torn = 0;            // of those
    uint64_t sectors = 0;         // of parity that was written
    uint64_t sectors_failed = 0;  // ... that could not be made, for an I/O error
    std::vector<lost_blocks> lost;
    std::vector<resync_fault> refused;  // the first of each member that takes no writes
};

// @members by role.
[[nodiscard]] replay_report replay(const rr_geometry& g, const std::vector<replay_member>& members);

}  // namespace rr
