// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An eventfd is told.
//
// Who waits for it wakes up. That cannot fail but for a count that overflows, when the
// waiter has been told already.
#pragma once

#include <unistd.h>

#include <cstdint>

namespace rr {

inline void tell_event(int event) {
    const uint64_t one = 1;
    (void)!::write(event, &one, sizeof(one));
}

}  // namespace rr
