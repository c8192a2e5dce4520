// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A write looks at the state while the control plane changes it: whichever word it has read
// by then, the plan is one of before or one of after.
#include <gtest/gtest.h>

#include "meanwhile.h"

#include "engine_under_test.h"

namespace rr {
namespace {

constexpr uint32_t chunk = 32;
constexpr uint32_t members = 5;

// The roles that a write of the first block is written to, all I/O being done.
uint32_t written_roles(rr_array* a) {
    rr_queue* q = rr_queue_at(a, 0);
    rr_request* r = rr_request_at(a, q, 0);
    *r = {};
    r->sectors = 8;
    r->op = RR_OP_WRITE;
    rr_request_start(a, q, 0);
    rr_settle(a, q);
    uint32_t roles = 0;
    while (q->action_head != q->action_tail) {
        const rr_action act = *rr_action_at(a, q, q->action_head++);
        if (act.act == RR_ACT_COMMIT)
            continue;
        if (act.act == RR_ACT_WRITE)
            roles |= 1U << act.role;
        rr_complete(a, q, act.token, RR_RESULT_WHOLE);
        rr_settle(a, q);
    }
    return roles;
}

// A rebuild has come to its end; its target becomes a member, and a check begins. A plan
// without parity would leave rows that no longer agree with it.
TEST(EngineLook, ARebuildEndsAndTheNextJobBegins) {
    bool came = true;
    for (uint32_t look = 0; came; look++) {
        test::small_array a(test::shape(members, chunk));
        const uint32_t parity = rr_parity_member(&a->geometry, 0);
        const uint32_t data = rr_data_member(&a->geometry, parity, 0);
        a->state = 1ULL << parity | RR_STATE_REBUILD;
        a->job.kind = RR_JOB_REBUILD;
        a->job.frontier = a->job.next = a->job.end = 64;
        came = false;
        between = [&, n = look]() mutable {
            if (n-- != 0 || came)
                return;
            came = true;
            a->state = 0;
            a->job.kind = RR_JOB_CHECK;
            a->job.frontier = a->job.next = 0;
        };
        EXPECT_EQ(written_roles(a.get()), 1U << parity | 1U << data) << "look " << look;
        between = nullptr;
    }
}

}  // namespace
}  // namespace rr
