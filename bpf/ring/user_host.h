/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The user host: the same turn of a queue (step.h) in a plain io_uring loop.
 *
 * For kernels without io_uring BPF ops, and as the fair comparison: engine,
 * SQEs, ring flags and order are those of the BPF host, only the loop runs in
 * user space and pays one io_uring_enter a turn.
 */
#ifndef RINGRAID_RING_USER_HOST_H
#define RINGRAID_RING_USER_HOST_H

#include "../include/ringraid/ring.h"

#ifdef __cplusplus
extern "C" {
#endif

struct rr_user_host {
	struct rr_array *array;
	struct rr_ring *ring;
	rr_u8 *cq; /* the ring's mapping */
	rr_u8 *sq; /* the SQE array */
	struct rr_ring_offsets at;
	int ring_fd;
};

/* Serves until ublk has taken back every tag: 0, or -errno of io_uring_enter. */
int rr_user_host_run(struct rr_user_host *host);

#ifdef __cplusplus
}
#endif

#endif /* RINGRAID_RING_USER_HOST_H */
