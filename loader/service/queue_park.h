// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// All queues of an array outside of their programs, for a while (bpf/ring/park.h):
// what a ring or a program is made of can be exchanged then. Clients wait.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "engine/queue.h"

namespace rr {

class queue_park {
public:
    // Both outlive it.
    queue_park(rr_array* array, std::vector<std::unique_ptr<queue_thread>>* queues)
        : array_(array), queues_(queues) {}

    // EBUSY: requests in flight take too long; resume() all the same.
    Status park();
    void resume();

private:
    void wake() const;

    rr_array* array_;
    std::vector<std::unique_ptr<queue_thread>>* queues_;
};

}  // namespace rr
