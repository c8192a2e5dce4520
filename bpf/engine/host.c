// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The engine compiled for a host: the same source as in the BPF object. */
#include "engine.h"
#include "host.h"

/* Whose uring_bpf_xor() a fused action is computed with. */
struct xor_host {
	rr_xor_fn xor_fn;
	void *context;
};

typedef struct xor_host rr_host_t;

static __thread struct rr_xor_ref refs_of_thread[RR_XOR_REFS_MAX];

#define rr_host_refs(q) refs_of_thread
#define rr_host_xor(host, refs, n, bytes, flags)                                                   \
	((host)->xor_fn((host)->context, refs, n, bytes, flags))

#include "../ring/fuse.h"

#include <stddef.h>

struct rr_queue *rr_host_queue(struct rr_array *a, rr_u32 queue)
{
	return rr_queue_at(a, queue);
}

struct rr_request *rr_host_request(struct rr_array *a, rr_u32 queue, rr_u32 tag)
{
	return rr_request_at(a, rr_queue_at(a, queue), tag);
}

struct rr_slot *rr_host_slot(struct rr_array *a, rr_u32 queue, rr_u32 slot)
{
	return rr_slot_at(a, rr_queue_at(a, queue), slot);
}

rr_u64 rr_host_buffer(struct rr_array *a, rr_u32 queue, rr_u32 slot, rr_u32 role)
{
	return rr_buffer(a, rr_queue_at(a, queue), slot, role);
}

void rr_host_start(struct rr_array *a, rr_u32 queue, rr_u32 tag)
{
	rr_request_start(a, rr_queue_at(a, queue), tag);
	rr_settle(a, rr_queue_at(a, queue));
}

void rr_host_arrive(struct rr_array *a, rr_u32 queue, rr_u32 tag)
{
	rr_request_start(a, rr_queue_at(a, queue), tag);
}

void rr_host_settle(struct rr_array *a, rr_u32 queue)
{
	rr_settle(a, rr_queue_at(a, queue));
}

void rr_host_complete(struct rr_array *a, rr_u32 queue, rr_u64 token, rr_s32 result)
{
	rr_complete(a, rr_queue_at(a, queue), token, result);
	rr_settle(a, rr_queue_at(a, queue));
}

void rr_host_message(struct rr_array *a, rr_u32 queue)
{
	rr_message(a, rr_queue_at(a, queue));
	rr_settle(a, rr_queue_at(a, queue));
}

void rr_host_tick(struct rr_array *a, rr_u32 queue)
{
	rr_queue_at(a, queue)->tick_wanted = 0;
	rr_tick(a, rr_queue_at(a, queue));
	rr_settle(a, rr_queue_at(a, queue));
}

int rr_host_wakes_log(struct rr_array *a, rr_u32 queue)
{
	return rr_log_wakes(a, rr_queue_at(a, queue));
}

const struct rr_action *rr_host_action(struct rr_array *a, rr_u32 queue)
{
	struct rr_queue *q = rr_queue_at(a, queue);

	return q->action_head == q->action_tail ? NULL : rr_action_at(a, q, q->action_head++);
}

int rr_host_fuse_slot(struct rr_array *a, rr_u32 queue, rr_u32 slot, rr_xor_fn xor_fn,
		      void *context)
{
	struct xor_host host = { xor_fn, context };

	return rr_fuse(&host, a, rr_queue_at(a, queue), slot);
}

void rr_host_blank(struct rr_array *a, rr_u32 queue, rr_u64 token, rr_u64 address)
{
	rr_slot_blank(a, rr_queue_at(a, queue), token, address);
}

int rr_host_fail(struct rr_array *a, rr_u32 role, rr_s32 error)
{
	return rr_member_fail(a, role, error);
}

int rr_host_suspect(struct rr_array *a, rr_u32 role, rr_s32 error)
{
	return rr_suspect_untold(a, role, error);
}

int rr_host_transient(rr_s32 result)
{
	return rr_transient(result);
}

rr_u32 rr_host_retries_looked(rr_u32 retries)
{
	return rr_retries_looked(retries);
}
