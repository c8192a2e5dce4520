/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The engine as a C library, for hosts outside the kernel.
 *
 * The functions are those of engine.h, compiled once in host.c; see there for
 * the order in which a host calls them. All take the arena's header, as laid
 * out by the loader (loader/engine/layout.h), and the number of a queue.
 */
#ifndef RINGRAID_ENGINE_HOST_H
#define RINGRAID_ENGINE_HOST_H

#include "../include/ringraid/ring.h"

#ifdef __cplusplus
extern "C" {
#endif

struct rr_queue *rr_host_queue(struct rr_array *a, rr_u32 queue);
struct rr_request *rr_host_request(struct rr_array *a, rr_u32 queue, rr_u32 tag);
struct rr_slot *rr_host_slot(struct rr_array *a, rr_u32 queue, rr_u32 slot);
/* Byte offset in the arena of the slot's cell for @role. */
rr_u64 rr_host_buffer(struct rr_array *a, rr_u32 queue, rr_u32 slot, rr_u32 role);

/* The request's sector, sectors, op and flags are set by the caller before. */
void rr_host_start(struct rr_array *a, rr_u32 queue, rr_u32 tag);
/* The same in two steps, for what comes together. */
void rr_host_arrive(struct rr_array *a, rr_u32 queue, rr_u32 tag);
void rr_host_settle(struct rr_array *a, rr_u32 queue);
void rr_host_complete(struct rr_array *a, rr_u32 queue, rr_u64 token, rr_s32 result);
void rr_host_message(struct rr_array *a, rr_u32 queue);
void rr_host_tick(struct rr_array *a, rr_u32 queue);

/* 1: the log's writer has to be told that the queue has something for it. */
int rr_host_wakes_log(struct rr_array *a, rr_u32 queue);

/* The oldest action of the queue, taken out of its ring; NULL when there is none. */
const struct rr_action *rr_host_action(struct rr_array *a, rr_u32 queue);

/*
 * RR_ACT_FUSE with a host's own uring_bpf_xor(): @xor_fn gets @context and a call
 * as the kernel would. 0 or -errno.
 */
typedef int (*rr_xor_fn)(void *context, const struct rr_xor_ref *refs, rr_u32 n, rr_u32 bytes,
			 rr_u64 flags);
int rr_host_fuse_slot(struct rr_array *a, rr_u32 queue, rr_u32 slot, rr_xor_fn xor_fn,
		      void *context);

/* RR_ACT_BLANK of @token, at @address. */
void rr_host_blank(struct rr_array *a, rr_u32 queue, rr_u64 token, rr_u64 address);

/* Takes @role out of use: 1 now, 0 it was out, -1 it is the second failure. */
int rr_host_fail(struct rr_array *a, rr_u32 role, rr_s32 error);

/*
 * 1: @error of an I/O on @role is none yet: it is issued again, or believed, when @role is no
 * suspect any more. The caller tells the control plane.
 */
int rr_host_suspect(struct rr_array *a, rr_u32 role, rr_s32 error);

/* 1: @result of an I/O says nothing about the medium. */
int rr_host_transient(rr_s32 result);
/* What an I/O has had of its patience after a look that found all well; 0: all of it. */
rr_u32 rr_host_retries_looked(rr_u32 retries);

#ifdef __cplusplus
}
#endif

#endif /* RINGRAID_ENGINE_HOST_H */
