/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A client's request: its parts, its end, and its answer.
 *
 * ublk splits requests at the full stripe, so a request lies in one stripe. One
 * that does not gets -EIO: a part of it would be done, and all acknowledged; only what
 * writes zeros has any length (zero.h). It
 * is cut by chunk (a role each) and by cell; want[] holds the cells that still
 * have to start, so a request that must wait for a slot keeps its place in
 * slot_wait and starts as slots come free.
 *
 * A write or flush that is done while a failure is not durable goes to `held`
 * and is answered when it is; a broken array answers it with -EIO.
 */
#ifndef RINGRAID_ENGINE_REQUEST_H
#define RINGRAID_ENGINE_REQUEST_H

#include "member.h"

RR_STEP rr_u32 rr_lowest_bit(rr_u32 mask)
{
	rr_u32 bit = 0;

	if (!(mask & 0xff))
		bit += 8, mask >>= 8;
	if (!(mask & 0xf))
		bit += 4, mask >>= 4;
	if (!(mask & 3))
		bit += 2, mask >>= 2;
	return bit + !(mask & 1);
}

RR_STEP rr_u32 rr_count_bits(rr_u32 mask)
{
	mask = (mask & 0x5555) + (mask >> 1 & 0x5555);
	mask = (mask & 0x3333) + (mask >> 2 & 0x3333);
	mask = (mask & 0x0f0f) + (mask >> 4 & 0x0f0f);
	return (mask & 0xff) + (mask >> 8);
}

/* Sectors from @sector to the end of its stripe, and so of the array: it is whole stripes. */
RR_STEP rr_u32 rr_stripe_rest(rr_array_t *a, rr_u64 sector)
{
	rr_u32 full = (a->geometry.members - 1) << a->geometry.chunk_shift;

	return full - (rr_u32)(sector % full);
}

/* Where a request lies: its stripe, and its first sector in there. */
struct rr_place {
	rr_u64 stripe;
	rr_u32 start;
	rr_u32 parity;
};

RR_STEP struct rr_place rr_request_place(rr_array_t *a, rr_request_t *r)
{
	rr_u64 full = (rr_u64)(a->geometry.members - 1) << a->geometry.chunk_shift;
	struct rr_place p;

	p.stripe = r->sector / full;
	p.start = (rr_u32)(r->sector - p.stripe * full);
	p.parity = rr_parity_member(&a->geometry, p.stripe);
	return p;
}

/* Of sectors [start, end) of a stripe those of data chunk @index; empty: from >= to. */
struct rr_part {
	rr_u32 from;
	rr_u32 to;
};

RR_STEP struct rr_part rr_stripe_part(rr_array_t *a, rr_u32 start, rr_u32 end, rr_u32 index)
{
	rr_u32 chunk = 1U << a->geometry.chunk_shift;
	rr_u32 base = index << a->geometry.chunk_shift;
	struct rr_part p = { 0, 0 };

	if (start >= base + chunk || end <= base)
		return p;
	p.from = start > base ? start - base : 0;
	p.to = end < base + chunk ? end - base : chunk;
	return p;
}

RR_STEP struct rr_part rr_request_part(rr_array_t *a, rr_request_t *r, rr_u32 start, rr_u32 index)
{
	return rr_stripe_part(a, start, start + r->sectors, index);
}

/*
 * What is read of data chunk @index for itself. Where a chunk of the request is
 * rebuilt, what the others have in its rows is read for that, and delivered from
 * there. As a request is of one piece, only the ends of it are left: what lies
 * before a first chunk's beginning, or behind a last one's end.
 */
RR_STEP struct rr_part rr_request_rest(rr_array_t *a, rr_request_t *r, struct rr_place *p,
				       rr_u32 index)
{
	struct rr_part part = rr_request_part(a, r, p->start, index);
	struct rr_part rebuilt;
	rr_u32 lost;

	if (!r->rebuilt)
		return part;
	lost = rr_data_index(&a->geometry, p->parity, rr_lowest_bit(r->rebuilt));
	if (index == lost)
		return part;
	rebuilt = rr_request_part(a, r, p->start, lost);
	if (rebuilt.from) {
		if (part.to > rebuilt.from)
			part.to = rebuilt.from;
	} else if (part.from < rebuilt.to) {
		part.from = rebuilt.to;
	}
	return part;
}

/* Mask of the cells of a chunk that [from, to) touches. */
RR_STEP rr_u32 rr_part_cells(rr_array_t *a, rr_u32 from, rr_u32 to)
{
	rr_u32 shift = a->cell_shift - RR_SECTOR_SHIFT;

	return ((2U << ((to - 1) >> shift)) - 1) & ~((1U << (from >> shift)) - 1) & 0xffff;
}

/* Mask of the cells of a chunk that sectors [start, end) of a stripe touch, in any chunk. */
RR_STEP rr_u32 rr_stripe_cells(rr_array_t *a, rr_u32 start, rr_u32 end)
{
	rr_u32 chunk = 1U << a->geometry.chunk_shift;
	rr_u32 first = start >> a->geometry.chunk_shift;
	rr_u32 last = (end - 1) >> a->geometry.chunk_shift;
	rr_u32 from = start & (chunk - 1);
	rr_u32 to = ((end - 1) & (chunk - 1)) + 1;

	if (first == last)
		return rr_part_cells(a, from, to);
	if (last > first + 1)
		return rr_part_cells(a, 0, chunk);
	return rr_part_cells(a, from, chunk) | rr_part_cells(a, 0, to);
}

/* Each role of a mask, from the lowest on. */
#define rr_for_roles(role, mask)                                                                   \
	for (rr_u32 left_ = (mask);                                                                \
	     left_ && rr_may_go_on() && ((role) = rr_lowest_bit(left_) & (RR_MEMBERS_MAX - 1), 1); \
	     left_ &= left_ - 1)

/* Until rr_request_answer() a write counts as one that may see regions as they were. */
RR_STEP void rr_write_opens(rr_queue_t *q, rr_request_t *r)
{
	r->era = q->era;
	q->writes_open[r->era & 1] += r->op == RR_OP_WRITE;
}

RR_STEP void rr_request_answer(rr_array_t *a, rr_queue_t *q, rr_u32 tag)
{
	rr_request_t *r = rr_request_at(a, q, tag);
	rr_s32 result = r->error;

	if (!result && r->op != RR_OP_FLUSH && !(r->flags & RR_REQ_ZEROES))
		result = (rr_s32)(r->sectors << RR_SECTOR_SHIFT);
	r->flags = 0;
	q->open--;
	q->writes_open[r->era & 1] -= r->op == RR_OP_WRITE;
	rr_emit(a, q, RR_ACT_COMMIT, 0, tag, rr_token(RR_TOKEN_CLIENT, 0, tag), 0, 0,
		(rr_u32)result);
}

/* The host could not hand over an answer, or ask for a first request: once more. */
RR_STEP void rr_client_again(rr_array_t *a, rr_queue_t *q, rr_u64 token)
{
	rr_u32 tag = rr_token_index(token);

	if (rr_token_role(token)) {
		rr_emit(a, q, RR_ACT_FETCH, 0, tag, token, 0, 0, 0);
		return;
	}
	q->open++;
	rr_write_opens(q, rr_request_at(a, q, tag));
	rr_request_answer(a, q, tag);
}

RR_FN int rr_request_done(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 tag)
{
	rr_request_t *r = rr_request_at(a, q, tag);
	rr_u32 promise = RR_PROMISE_KEPT;

	if (r->op != RR_OP_READ)
		promise = rr_promise(a);
	if (promise == RR_PROMISE_BROKEN)
		r->error = -RR_EIO;
	if (promise == RR_PROMISE_HELD && !r->error) {
		rr_request_push(a, q, &q->held, tag);
		q->tick_wanted = 1;
		q->notify = 1;
		rr_count(q, held_acks, 1);
		return 0;
	}
	rr_request_answer(a, q, tag);
	return 0;
}

/* The end of one of the request's parts. */
RR_STEP void rr_request_part_done(rr_array_t *a, rr_queue_t *q, rr_u32 tag, rr_s32 error)
{
	rr_request_t *r = rr_request_at(a, q, tag);

	if (error) {
		if (!r->error)
			r->error = error;
		r->wanted_roles = 0;
	}
	r->pending--;
	if (!r->pending && !r->wanted_roles && !(r->flags & RR_REQ_QUEUED))
		rr_request_done(a, q, tag);
}

/* Answers what a failure held back, once it is durable. */
RR_FN int rr_held_release(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA)
{
	rr_u32 promise = rr_promise(a);
	rr_u32 tag;
	rr_s32 i;

	if (promise == RR_PROMISE_HELD) {
		q->tick_wanted = 1;
		return 0;
	}
	rr_for (i, RR_DEPTH_MAX) {
		tag = rr_request_pop(a, q, &q->held);
		if (tag == RR_NIL)
			break;
		if (promise == RR_PROMISE_BROKEN)
			rr_request_at(a, q, tag)->error = -RR_EIO;
		rr_request_answer(a, q, tag);
	}
	return 0;
}

#endif /* RINGRAID_ENGINE_REQUEST_H */
