/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Requests driven through the engine by a host that does nothing else: every
 * action completes at once, with success. The same source for BPF and C. All
 * inline: the engine takes nearly all of the eight frames that BPF has. The includer
 * gives rr_host_clock().
 */
#ifndef RINGRAID_BENCH_DRIVE_H
#define RINGRAID_BENCH_DRIVE_H

#include "../engine/engine.h"
#include "../ring/latency.h"
#include "engine_bench.h"

/* The oldest action is done. */
RR_STEP void bench_act(rr_array_t *a, rr_queue_t *q)
{
	rr_action_t *n = rr_action_at(a, q, q->action_head);

	q->action_head++;
	q->count.sqes++;
	if (n->act != RR_ACT_COMMIT)
		rr_complete(a, q, n->token, n->act == RR_ACT_FLUSH ? 0 : (rr_s32)n->length);
}

/* A request comes; what it asks for is left in the action ring. */
RR_STEP void bench_start(rr_array_t *a, rr_queue_t *q, rr_u32 tag, rr_u64 sector, rr_u32 sectors,
			 rr_u32 op)
{
	rr_request_t *r = rr_request_at(a, q, tag);

	r->sector = sector;
	r->sectors = sectors;
	r->op = op;
	r->flags = 0;
	rr_request_start(a, q, tag);
	rr_settle(a, q);
}

/*
 * All requests, to their answers. Another queue may hold a row lock for a while.
 * What is counted is counted in the arena: the verifier follows no number there.
 */
RR_STEP void bench_finish(rr_array_t *a, rr_queue_t *q)
{
	rr_s32 i;

	rr_for (i, 1 << 20) {
		if (q->action_head != q->action_tail)
			bench_act(a, q);
		else if (q->open)
			rr_message(a, q);
		else
			break;
		rr_settle(a, q);
	}
	if (q->open)
		q->last_error = -RR_EIO;
}

/* An answer that is an error is one of the measurement. */
RR_STEP void bench_judge(rr_array_t *a, rr_queue_t *q, rr_u32 tag)
{
	if (rr_request_at(a, q, tag)->error)
		q->last_error = -RR_EIO;
}

RR_STEP void bench_one(rr_array_t *a, rr_queue_t *q, rr_u64 sector, rr_u32 sectors, rr_u32 op)
{
	bench_start(a, q, 0, sector, sectors, op);
	bench_finish(a, q);
	bench_judge(a, q, 0);
}

/* What ring/step.h does for latencies, of requests that come in one turn and end in the next. */
RR_STEP void bench_latencies(rr_array_t *a, rr_queue_t *q, rr_u32 batch, rr_u32 rounds)
{
	rr_s32 i, tag;

	rr_for (i, rounds) {
		rr_latency_look_anew(q);
		rr_for (tag, batch)
			rr_latency_came(a, q, (rr_u32)tag & (RR_DEPTH_MAX - 1));
		rr_latency_look_anew(q);
		rr_for (tag, batch)
			rr_latency_answered(a, q, tag);
	}
}

#endif /* RINGRAID_BENCH_DRIVE_H */
