// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a successor does with the arena of a daemon that died.
//
// A slot in RR_PHASE_WRITE was writing a row: its members may hold any mix of
// old and new, but the slot's buffers hold all of the new. Written once more,
// data and parity agree again, and no resync is needed. Every other phase has
// changed nothing on the members. Rows of different slots do not overlap (each
// holds its row lock), so the order is free, and the redo may itself be cut
// off and done again.
//
//   1. no I/O of the dead daemon is in flight any more
//   2. epoch(state) != durable_epoch: superblocks first, then durable_epoch
//   3. redo_writes(); if it took a member out, as 2. again
//   4. restart_arena(): queues, requests, slots and locks are new; geometry,
//      state and durable_epoch stay
//   5. serve; the clients' unanswered requests are started again
//
// The counts of what a flush has to cover die with the queues, so redo_writes()
// ends with a flush of every member, whether a slot was written or not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "ringraid/abi.h"

namespace rr {

// The members, as the redo needs them: whole transfers, 0 or a positive errno.
class redo_io {
public:
    virtual ~redo_io() = default;
    // `position`: bytes from the start of the member's device.
    virtual int write(uint32_t role, uint64_t position, std::span<const std::byte> data) = 0;
    virtual int flush(uint32_t role) = 0;
};

struct redo_report {
    uint32_t slots = 0;
    uint32_t writes = 0;
    uint64_t bytes = 0;
};

// EINVAL with the reason unless @memory holds an arena of ours that is sane.
Status check_arena(std::span<std::byte> memory);

// Errors: EINVAL when the arena is not one of ours or its records are not
// sane; nothing was written then. A member that fails is taken out in the
// arena's state (a second one breaks the array), which is not an error here.
Result<redo_report> redo_writes(std::span<std::byte> memory, redo_io& io);

// Empties the arena for service. After redo_writes(). A crash in the middle
// leaves an arena that may be redone and restarted again.
void restart_arena(std::span<std::byte> memory);

}  // namespace rr
