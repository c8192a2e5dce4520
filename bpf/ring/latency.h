/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How long clients' requests take, by what was done for them: histograms with
 * a bucket for each power of two, per queue, in the arena (rr_latencies).
 *
 * A clock costs more than all the rest (20 ns in BPF, a third of a small read's),
 * so a turn reads it twice at most: when the first request comes, for all that
 * come in it, and when the first answer goes out, for all those. A request
 * begins with the turn that takes it from the CQ ring, where it may have been
 * since the turn before began, and ends in the turn that answers it: its time is
 * short by what is left of that turn, and by what it waited for its own. Both
 * are less than a turn, which is what the queue itself needs; the members' time
 * and all waiting for rows, slots and durability are in it, and so is the time
 * for which a queue was parked.
 *
 * Off (rr_array.latency_on) it costs a look at a word when a request comes and
 * one when it goes. It can be switched while requests are in flight: one is
 * timed if it came while it was on.
 *
 * One writer, no lock: a reader may find a request in the sum of times and not
 * yet in its bucket. The histograms are laid out apart from the queues, which a
 * daemon's successor empties: it goes on with them. They end with the arena,
 * that is with a stop (docs/decisions/0027).
 *
 * The includer gives rr_host_clock(): monotonic, in ns.
 */
#ifndef RINGRAID_RING_LATENCY_H
#define RINGRAID_RING_LATENCY_H

#include "../engine/arena.h"

typedef struct rr_latency __arena rr_latency_t;

RR_STEP rr_latency_t *rr_latency_at(rr_array_t *a, rr_u32 queue, rr_u32 way)
{
	return (rr_latency_t *)rr_at(a, a->latency_offset +
						(rr_u64)queue * sizeof(struct rr_latencies) +
						(rr_u64)way * sizeof(struct rr_latency));
}

RR_STEP rr_u32 rr_latency_bucket(rr_u64 ns)
{
	rr_u64 units = ns >> RR_LATENCY_SHIFT;

	if (units >> (RR_LATENCY_BUCKETS - 2))
		return RR_LATENCY_BUCKETS - 1;
	/* The number of its bits; that of 0 is not defined, that of 2 n + 1 is one more. */
	return 31 - (rr_u32)__builtin_clz((rr_u32)units << 1 | 1);
}

#define RR_PLANS(plan) (1U << (plan))

/* The way of a request, whose cells had @plans: the dearest is what it waited for. */
RR_STEP rr_u32 rr_latency_way(rr_u32 op, rr_u32 plans)
{
	if (op == RR_OP_READ)
		return plans & RR_PLANS(RR_PLAN_REBUILD) ? RR_WAY_REBUILT : RR_WAY_READ;
	if (op == RR_OP_FLUSH)
		return RR_WAY_FLUSH;
	if (op != RR_OP_WRITE)
		return RR_WAY_NONE;
	if (plans & (RR_PLANS(RR_PLAN_RECON) | RR_PLANS(RR_PLAN_PAYLOAD)))
		return RR_WAY_DEGRADED;
	if (plans & RR_PLANS(RR_PLAN_RMW))
		return RR_WAY_RMW;
	if (plans & RR_PLANS(RR_PLAN_RCW))
		return RR_WAY_RCW;
	return plans & RR_PLANS(RR_PLAN_FULL) ? RR_WAY_FULL : RR_WAY_NONE;
}

RR_STEP rr_u64 rr_latency_now(rr_queue_t *q)
{
	if (!q->now)
		q->now = rr_host_clock();
	return q->now;
}

/* What was read before is old: a turn begins, or its answers. */
RR_STEP void rr_latency_look_anew(rr_queue_t *q)
{
	q->now = 0;
}

/* Apart, for the program's stack: inlined it makes the turn's frame a step larger. */
RR_FN int rr_latency_begin(rr_queue_t *q RR_ARG_ARENA, rr_u32 tag)
{
	q->came_at[tag & (RR_DEPTH_MAX - 1)] = rr_latency_now(q);
	q->plans[tag & (RR_DEPTH_MAX - 1)] = 0;
	return 0;
}

/* A request has come. */
RR_STEP void rr_latency_came(rr_array_t *a, rr_queue_t *q, rr_u32 tag)
{
	if (rr_load(a->latency_on))
		rr_latency_begin(q, tag);
}

/* An answer goes out; one that goes out again, for want of memory, counts once. */
RR_FN int rr_latency_answered(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 tag)
{
	rr_u32 at = tag & (RR_DEPTH_MAX - 1);
	rr_latency_t *l;
	rr_u64 ns;

	if (!q->came_at[at])
		return 0;
	ns = rr_latency_now(q) - q->came_at[at];
	l = rr_latency_at(a, q->id, rr_latency_way(rr_request_at(a, q, at)->op, q->plans[at]));
	q->came_at[at] = 0;
	l->total_ns += ns;
	l->count[rr_latency_bucket(ns)]++;
	return 0;
}

#endif /* RINGRAID_RING_LATENCY_H */
