/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Parking: a queue leaves its program, so that another one can take it over.
 *
 * While rr_array.park is set, requests that come are kept and not started;
 * those that were started end as ever, also the ones that wait for another
 * queue's row lock or for a failure to become durable, since every queue goes
 * on until it is quiet. A quiet queue has nothing in flight but ublk's FETCHes
 * and perhaps its timer, both of which belong to the ring and outlive the
 * program: no step of the next program meets an I/O that it did not issue.
 *
 * Completions that come to a ring without a program stay in its CQ ring.
 */
#ifndef RINGRAID_RING_PARK_H
#define RINGRAID_RING_PARK_H

#include "../engine/engine.h"

RR_STEP void rr_park_request(rr_array_t *a, rr_queue_t *q, rr_u32 tag)
{
	rr_request_push(a, q, &q->parked, tag);
	q->parked_tags++;
}

/* Starts what came meanwhile, in the order in which it came; it is settled with the turn. */
RR_FN int rr_unpark(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA)
{
	rr_u32 tag;
	rr_s32 i;

	rr_for (i, RR_DEPTH_MAX) {
		tag = rr_request_pop(a, q, &q->parked);
		if (tag == RR_NIL)
			break;
		q->parked_tags--;
		rr_request_start(a, q, tag);
	}
	return 0;
}

/*
 * Every tag is with ublk, parked or open; without open ones, what is in flight
 * beyond the FETCHes and the timer is messages and repairs.
 */
RR_STEP int rr_is_quiet(rr_array_t *a, rr_queue_t *q)
{
	return !q->open && !q->retry_count && q->free_slots == a->slots &&
	       q->inflight - q->timer_armed + q->parked_tags == q->fetches;
}

#endif /* RINGRAID_RING_PARK_H */
