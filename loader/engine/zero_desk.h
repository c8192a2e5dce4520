// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Which zeros that queues ask a member for are one command.
//
// Each cell of a write of zeros (bpf/engine/zero.h) asks each member for its own part. Cells
// of one request are neighbours, and a member does one such command at a time, as the kernel
// locks its page cache for it: what waits meanwhile is joined where it touches.
//
//   in flight      [0, 64K)
//   waiting        [64K, 128K)  [512K, 576K)  [128K, 192K)
//   it ends        the next is [64K, 192K), for two who asked; then [512K, 576K)
//
// The one that has waited longest is in the next. What may not deallocate is not joined with
// what may; one that must be durable makes the whole so. A result is that of all who asked:
// their rows are locked, so nothing else touches what they ask for.
//
// Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "ringraid/abi.h"

namespace rr {

class zero_desk {
public:
    struct range {
        uint64_t position = 0, bytes = 0;  // on the member
        bool durable = false, mapped = false;
    };

    // @token is for who ends it.
    void ask(uint32_t role, uint64_t token, const range& what);
    // The next command to @role, if none is in flight and somebody waits; it counts as started.
    std::optional<range> start(uint32_t role);
    // It has ended: the tokens of those that it was for.
    std::vector<uint64_t> end(uint32_t role);

private:
    struct wish {
        uint64_t token = 0;
        range what;
    };
    struct desk {
        std::vector<wish> waiting;  // as they came
        std::vector<uint64_t> served;
        bool in_flight = false;
    };

    std::array<desk, RR_MEMBERS_MAX> desks_{};
};

}  // namespace rr
