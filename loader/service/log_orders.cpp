// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "service/log_orders.h"

namespace rr {

Status take_up_log(const log_steps& steps) {
    for (const auto* step : {&steps.untold, &steps.empty, &steps.begin}) {
        if (Status ok = (*step)(); !ok)
            return ok;
    }
    // Nobody is told yet, and nobody needs it: where it does not end, rows are logged for
    // nobody, and who takes it up again ends it first.
    if (Status ok = steps.flush(); !ok) {
        (void)steps.end();
        return ok;
    }
    return steps.tell();
}

Status give_up_log(const log_steps& steps) {
    Status ok = steps.untold();
    return ok ? steps.end() : ok;
}

}  // namespace rr
