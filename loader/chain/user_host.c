// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "user_host.h"

#include <errno.h>
#include <liburing.h>
#include <linux/nvme_ioctl.h>

/* chain_turn.h asks for these by name. */
static __thread const struct rr_ring_offsets* offsets;
static __thread const struct rr_chain_program* program;

#define chain_host_offsets() offsets

static inline int chain_call_step(struct chain* c, const rr_u8* block, rr_u32 bytes) {
    return c->step < program->steps ? program->step[c->step](c, block, bytes) : -EINVAL;
}

#include "ringraid/chain_turn.h"

RR_STATIC_ASSERT(CHAIN_ESTALE == ESTALE && CHAIN_EUCLEAN == EUCLEAN && CHAIN_EILSEQ == EILSEQ &&
                     CHAIN_ENODATA == ENODATA && CHAIN_ELOOP == ELOOP && CHAIN_ERANGE == ERANGE &&
                     CHAIN_EPROTO == EPROTO && CHAIN_EOPNOTSUPP == EOPNOTSUPP &&
                     CHAIN_EAGAIN == EAGAIN && CHAIN_EINTR == EINTR,
                 "errno.h");

/* The kernel's side of the ring must be seen, and see ours, in order. */
static inline void ring_barrier(void) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

int chain_user_host_run(struct chain_user_host* host) {
    struct chain_shared* s = host->shared;

    offsets = &host->at;
    program = host->program;
    for (;;) {
        const unsigned int polls = s->poll;
        unsigned int pending;
        int verdict, done;

        ring_barrier();
        verdict = chain_turn(s, host->sq, host->cq);
        ring_barrier();
        pending = s->sq_tail - chain_ring_word(host->cq, host->at.sq_head);
        if (verdict == CHAIN_TURN_STOP && !pending)
            return 0;
        /* What has completed is seen by entering only: else hops in the cache starve reads. */
        if (verdict == CHAIN_TURN_AGAIN && !pending && !s->in_flight && !polls)
            continue;
        host->enters++;
        s->count.submits += pending != 0;
        done =
            io_uring_enter((unsigned int)host->ring_fd, pending,
                           verdict == CHAIN_TURN_WAIT ? s->wait : 0, IORING_ENTER_GETEVENTS, NULL);
        if (done < 0 && done != -EAGAIN && done != -EBUSY)
            return done;
        if (verdict == CHAIN_TURN_STOP)
            return 0;
    }
}
