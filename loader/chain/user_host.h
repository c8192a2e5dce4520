/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The loop of chained reads (chain_turn.h) in user space: one io_uring_enter a turn. */
#ifndef RINGRAID_CHAIN_USER_HOST_H
#define RINGRAID_CHAIN_USER_HOST_H

#include "ringraid/chain.bpf.h"

#ifdef __cplusplus
extern "C" {
#endif

struct chain_user_host {
    struct chain_shared* shared;
    const struct rr_chain_program* program;
    rr_u8* cq; /* the ring's mapping */
    rr_u8* sq; /* the SQE array */
    struct rr_ring_offsets at;
    int ring_fd;
    uint64_t enters;
};

/* Until the wanted number of lookups has ended, or nothing is under way: 0 or -errno. */
int chain_user_host_run(struct chain_user_host* host);

#ifdef __cplusplus
}
#endif

#endif /* RINGRAID_CHAIN_USER_HOST_H */
