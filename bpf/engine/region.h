/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Regions: a write waits until the write-intent bitmap says so on every member.
 *
 * A region is a run of whole stripes, a power of two of them. Its word says what the
 * bitmap on the members says of it, so the bitmap itself is the control plane's alone
 * (loader/service/bitmap.h): it grants what queues ask for, and takes back what was
 * not written for a while.
 *
 *                 a write comes          control plane
 *   0        ->   ASKED, waits
 *   ASKED                                bits durable on all members  -> SET | TOUCHED
 *   SET      ->   SET | TOUCHED, goes
 *   SET | TOUCHED: goes                  at its next look             -> SET
 *   SET                                  at the one after it          -> 0
 *
 * The last is the dangerous one: a write that has seen SET may be under way when the
 * word is 0, and the bits may go only after it has ended. Words cannot say when, as a
 * count in each would cost every write two atomic operations. Eras do: the control
 * plane makes the word 0 and then raises region_era; a queue that reads the new era
 * sees words not older than it, and counts its open writes by the era that they came
 * in. When all queues are in the new era and have none of the old one open, nobody is
 * left who saw SET.
 *
 * NEEDED is of no concern to a write's start. It is the control plane's, set and taken
 * back while nothing plans by it or below the frontier (member.h).
 *
 * Cost for a write to a region that is written: a division for its stripe, two loads and
 * a test. A read has none.
 */
#ifndef RINGRAID_ENGINE_REGION_H
#define RINGRAID_ENGINE_REGION_H

#include "request.h"

/* start.h */
RR_FN int rr_write_start(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 tag);

RR_STEP rr_u32 rr_region_of(rr_array_t *a, rr_request_t *r)
{
	return (rr_u32)(rr_request_place(a, r).stripe >> a->region_shift);
}

/* The control plane finds what is asked for by blocks of regions. */
RR_STEP void rr_region_tell(rr_array_t *a, rr_queue_t *q, rr_u32 region)
{
	rr_u64 bit = 1ULL << (region * RR_REGION_BLOCKS / a->regions & (RR_REGION_BLOCKS - 1));
	rr_u64 seen = rr_load(a->regions_asked);
	rr_u64 found;
	rr_s32 i;

	/* Where others are always faster: the tick looks, and tells it again. */
	rr_for (i, 16) {
		if (seen & bit)
			break;
		found = rr_swap_if(a->regions_asked, seen, seen | bit);
		if (found == seen)
			break;
		seen = found;
	}
	q->notify = 1;
}

/* 1: the region may be written. 0: it was asked for. */
RR_FN int rr_region_ask(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 region)
{
	rr_u32 __arena *word = rr_region_at(a, region);
	rr_u32 seen = rr_load(*word);
	rr_u32 found;
	rr_s32 i;

	rr_for (i, 16) {
		if (seen & RR_REGION_TOUCHED)
			return 1;
		if (!(seen & RR_REGION_SET) && (seen & RR_REGION_ASKED))
			break;
		found = rr_swap_if(
			*word, seen,
			seen | (seen & RR_REGION_SET ? RR_REGION_TOUCHED : RR_REGION_ASKED));
		if (found == seen && (seen & RR_REGION_SET))
			return 1;
		if (found == seen)
			break;
		seen = found;
	}
	rr_region_tell(a, q, region);
	return 0;
}

/* 1: the write waits until its region is set. */
RR_FN int rr_region_holds(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 tag)
{
	rr_u32 region = rr_region_of(a, rr_request_at(a, q, tag));

	if (rr_load(*rr_region_at(a, region)) & RR_REGION_TOUCHED)
		return 0;
	if (rr_region_ask(a, q, region))
		return 0;
	rr_count(q, region_waits, 1);
	rr_request_push(a, q, &q->region_wait, tag);
	q->tick_wanted = 1;
	return 1;
}

/* The queue was told to look: from here on its writes are of the new era. */
RR_STEP void rr_region_look(rr_array_t *a, rr_queue_t *q)
{
	q->region_look = 1;
	q->zero_held = 0;
	/* What it loads later is not older than the era. */
	if (rr_load(a->region_era) != q->era)
		rr_store(q->era, rr_load_fenced(a->region_era));
}

/* What waits tries once more, in order. */
RR_FN int rr_region_release(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA)
{
	rr_u32 last = q->region_wait.tail;
	rr_u32 tag;
	rr_s32 i;

	q->tick_wanted = 1;
	if (!q->region_look)
		return 0;
	q->region_look = 0;
	rr_for (i, RR_DEPTH_MAX) {
		tag = rr_request_pop(a, q, &q->region_wait);
		if (tag == RR_NIL)
			break;
		rr_write_start(a, q, tag);
		if (tag == last)
			break;
	}
	return 0;
}

#endif /* RINGRAID_ENGINE_REGION_H */
