/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rest: no write is under way and none starts, so the superblocks may say clean.
 *
 * The control plane puts a number that was not used before into rr_array.rest and
 * sends each queue a message. From the moment at which a queue has read it, its
 * writes wait in rest_wait; one that has none open says so in rr_queue.rested. When
 * all have, nothing will be written before rest is 0 again: the control plane
 * flushes the members and marks them clean. It is told of a write that waits, marks
 * them dirty, stores 0 and sends messages.
 *
 *   control plane                       a queue, in its own thread
 *   rest = 7, message
 *                                       rested = 7, unless a write is open
 *   all say 7: flush, mark clean
 *                                       a write comes and waits: notify
 *   mark dirty; rest = 0, message
 *                                       the write starts
 *
 * Where a queue is busy the control plane takes it back. A message that is lost
 * costs time: the control plane looks by itself, and a queue at its next tick.
 * Reads go on at rest; a bad block is rewritten with what it held, so that parity
 * stays right however much of it is done.
 *
 * Cost for a write that finds the array awake: one load, of a word that is not
 * written meanwhile, and two counts.
 */
#ifndef RINGRAID_ENGINE_REST_H
#define RINGRAID_ENGINE_REST_H

#include "start.h"

RR_FN int rr_rest_wait(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 tag)
{
	/* For both the control plane writes to all members: it hears of both at once. */
	if (a->regions_on)
		rr_region_ask(a, q, rr_region_of(a, rr_request_at(a, q, tag)));
	rr_request_push(a, q, &q->rest_wait, tag);
	q->tick_wanted = 1;
	q->notify = 1;
	return 0;
}

/* The queue was told to look. */
RR_STEP void rr_rest_look(rr_array_t *a, rr_queue_t *q)
{
	rr_u32 rest = rr_load(a->rest);

	if (!(q->writes_open[0] | q->writes_open[1]))
		rr_store(q->rested, rest);
}

/* The superblocks say dirty: what waits starts. */
RR_FN int rr_rest_release(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA)
{
	rr_u32 tag;
	rr_s32 i;

	if (rr_load(a->rest)) {
		q->tick_wanted = 1;
		return 0;
	}
	rr_for (i, RR_DEPTH_MAX) {
		tag = rr_request_pop(a, q, &q->rest_wait);
		if (tag == RR_NIL)
			break;
		rr_write_start(a, q, tag);
	}
	return 0;
}

#endif /* RINGRAID_ENGINE_REST_H */
