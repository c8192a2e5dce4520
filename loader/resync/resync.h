// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Recomputes parity, or counts where it is wrong, on an array that is not
// being written: after a crash, after a create without zeroing, for a check.
//
// Per batch of stripes each member is read once, in one long run, all members
// at the same time. The XOR of everything in a stripe, parity included, is
// zero when the parity is right, whatever the layout; where it is not, adding
// it to the parity mends it. So a sound array costs reads only, and the
// parity's rotation matters only for what is written.
//
// When a batch cannot be read, its stripes are taken one at a time and their
// parity is computed from the data alone: a parity chunk that cannot be read
// is rewritten, a data chunk that cannot be read ends the run with its member
// and sector. Told to trust the parity, it rebuilds such a row from the other
// members instead and writes it again, as md does without being asked: wrong
// where a write of that very row was cut off, so the user has to say it.
//
// Written parity is durable when resync() returns without an error: it
// flushes the members it wrote to. Memory: two batches per member, 1 MiB each
// unless told otherwise. Blocking; call it from a thread of its own.
//
// Limits: the array is complete (no position missing) and the caller keeps
// writers out of the range.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "ringraid/geometry.h"

namespace rr {

// A member as resync needs it; does not own the descriptor.
struct resync_member {
    int fd;
    uint64_t data_offset;  // sectors
};

enum class resync_mode {
    repair,  // make parity right
    check,   // write nothing
};

struct resync_options {
    resync_mode mode = resync_mode::repair;
    uint64_t first_stripe = 0;
    uint64_t stripes = 0;              // at least one
    bool trust_parity = false;         // rebuild data that cannot be read
    size_t batch_bytes = 1024 * 1024;  // per member; at least one chunk is taken
    // Bytes of one member done so far and in all; called from resync()'s
    // thread after each batch.
    std::function<void(uint64_t done, uint64_t total)> progress;
    const std::atomic<bool>* cancel = nullptr;  // stops before the next batch
};

struct resync_report {
    uint64_t stripes_done = 0;        // from first_stripe on
    uint64_t stripes_mismatched = 0;  // parity was wrong, or could not be read
    uint64_t sectors_mismatched = 0;  // of the parity chunks
    uint64_t rows_rebuilt = 0;        // of 4 KiB: data that could not be read
    bool cancelled = false;
};

struct resync_fault {
    Error error;
    uint32_t role = 0;    // member that failed
    uint64_t sector = 0;  // first failing one, from the start of the device
    bool write = false;
    resync_report done;  // what was finished before
};

// @members by role; @g valid and of as many members. Data offsets and the
// chunk must be multiples of the members' logical block size.
[[nodiscard]] tl::expected<resync_report, resync_fault> resync(
    const rr_geometry& g, const std::vector<resync_member>& members, const resync_options& options);

// into ^= from. Lengths are equal.
void xor_into(std::span<uint8_t> into, std::span<const uint8_t> from);

}  // namespace rr
