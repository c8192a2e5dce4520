/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Write-zeroes and discard: writes of zeros, of any length.
 *
 * Both are promised the same way: what a discard covers reads as zeros afterwards, as the
 * parity of its rows must be known, and Linux tells of no disk what is left by a discard of
 * its own. A discard is narrowed to its whole stripes, which may be none; the rest it may
 * leave alone. Parity of zeros is zero, so a row of zeros is zeros on every member.
 *
 * A request is not cut at stripes, as others are, and may have thousands of cells. Each
 * becomes a slot, which is that of a write in all else (slot.h): row lock, plan, log entry,
 * bitmap, epoch, redo record, promise. Only the payload is not copied from anywhere:
 *
 *   RR_ZERO_PAYLOAD  a part of its rows: zeros are put where payload goes, and parity is
 *                    computed. An RR_ACT_BLANK, which the host does at once
 *   RR_ZERO_ROWS     all data of its rows, and nothing to read: members are told to make
 *                    zeros of their own, parity's too. The buffers hold nothing, and so
 *                    nothing is kept (kept.h), and a redo record says what it stands for
 *
 * Members are told by the flusher's thread (loader/engine/flusher.h, docs/decisions/0038):
 * the command blocks, and neighbours become one there. So there is something to be gained by
 * having several cells in work, and those of one request are neighbours:
 *
 *   zero_wait   tag 7 -> 3 -> 12          one at a time starts its cells, in order
 *               stripe 40: cells 2, 3     what is left of this stripe, then comes 41
 *
 * Clients first, as a job's: a quarter of the slots at most, and none while a request waits
 * for one; but one cell may always be in work, and where no slot was left for it, it has the
 * next one. A stripe whose region is not set is waited for, by all in the line.
 *
 * No write follows such a slot, or is gathered with it: it meets them at the row lock.
 *
 * Cost: of a row of zeros an ask and an answer for each member, and no XOR.
 */
#ifndef RINGRAID_ENGINE_ZERO_H
#define RINGRAID_ENGINE_ZERO_H

#include "start.h"

RR_STEP rr_u32 rr_stripe_sectors(rr_array_t *a)
{
	return (a->geometry.members - 1) << a->geometry.chunk_shift;
}

/* A discard, which lies in the array, is narrowed to whole stripes. */
RR_FN int rr_discard_narrow(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 tag)
{
	rr_request_t *r = rr_request_at(a, q, tag);
	rr_u32 full = rr_stripe_sectors(a);
	rr_u64 first = (r->sector + full - 1) / full;
	rr_u64 end = (r->sector + r->sectors) / full;

	r->sector = first * full;
	r->sectors = end > first ? (rr_u32)(end - first) * full : 0;
	return 0;
}

/* The request stands in line. */
RR_FN int rr_zero_start(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 tag)
{
	rr_request_t *r = rr_request_at(a, q, tag);

	rr_count(q, writes, 1);
	rr_count(q, write_sectors, r->sectors);
	r->wanted_roles = 1;
	r->flags |= RR_REQ_QUEUED;
	rr_request_push(a, q, &q->zero_wait, tag);
	return 0;
}

/* What the request covers of @stripe: sectors there, the first and, above, the end. */
RR_STEP rr_u64 rr_zero_reach(rr_array_t *a, rr_request_t *r, rr_u64 stripe)
{
	rr_u32 full = rr_stripe_sectors(a);
	rr_u64 base = stripe * full;
	rr_u64 start = r->sector > base ? r->sector - base : 0;
	rr_u64 end = r->sector + r->sectors - base;

	return start | (end < full ? end : full) << 32;
}

/* The request goes on to its next stripe. 0: the region of that is not set. */
RR_FN int rr_zero_stripe(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 tag)
{
	rr_request_t *r = rr_request_at(a, q, tag);
	rr_u64 stripe = q->zero_begun ? q->zero_stripe + 1 : r->sector / rr_stripe_sectors(a);
	rr_u64 reach;

	if (a->regions_on && !rr_region_ask(a, q, (rr_u32)(stripe >> a->region_shift))) {
		rr_count(q, region_waits, 1);
		q->zero_held = 1;
		return 0;
	}
	reach = rr_zero_reach(a, r, stripe);
	q->zero_begun = 1;
	q->zero_stripe = stripe;
	q->zero_cells = rr_stripe_cells(a, (rr_u32)reach, (rr_u32)(reach >> 32));
	return 1;
}

/* Its next cell becomes a slot, and one is free. 0: not yet. */
RR_FN int rr_zero_start_cell(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 tag)
{
	rr_request_t *r = rr_request_at(a, q, tag);
	rr_u32 slot = q->free_slot;
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 place;

	if (!q->zero_cells && !rr_zero_stripe(a, q, tag))
		return 0;
	s->keeps = RR_KEEPS_NOTHING;
	rr_slot_new(a, q, RR_OP_WRITE, tag, slot);
	s->zero = RR_ZERO_PAYLOAD;
	s->cell = rr_member_cell(a, q->zero_stripe,
				 rr_lowest_bit(q->zero_cells) << (a->cell_shift - RR_SECTOR_SHIFT));
	/* Nobody comes to it as to the one that wrote this cell last. */
	place = rr_kept_place(s->cell);
	if (q->kept_at[place] == slot)
		q->kept_at[place] = RR_NIL;
	q->zero_cells &= q->zero_cells - 1;
	if (!q->zero_cells && r->sector + r->sectors <= (q->zero_stripe + 1) * rr_stripe_sectors(a))
		r->wanted_roles = 0;
	r->pending++;
	q->zeroing++;
	q->zero_first = 0;
	rr_slot_starts(a, q, slot);
	return 1;
}

/* Fills a slot on a cell with what its request covers there. */
RR_FN int rr_slot_init_zero(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 shift = a->geometry.chunk_shift + RR_SECTOR_SHIFT - a->cell_shift;
	struct rr_piece piece;
	struct rr_place p;
	rr_u64 reach;
	rr_u32 role;
	rr_s32 i;

	p.stripe = s->cell >> shift;
	p.parity = rr_parity_member(&a->geometry, p.stripe);
	reach = rr_zero_reach(a, rr_request_at(a, q, s->tag), p.stripe);
	rr_slot_place(a, s, &p, (rr_u32)s->cell & ((1U << shift) - 1));
	rr_for (i, RR_MEMBERS_MAX - 1) {
		if ((rr_u32)i >= a->geometry.members - 1)
			break;
		piece = rr_piece_in(a, s, (rr_u32)reach, (rr_u32)(reach >> 32), i);
		if (piece.from >= piece.to)
			continue;
		role = rr_data_member(&a->geometry, p.parity, i) & (RR_MEMBERS_MAX - 1);
		s->payload[role] = piece.payload;
		rr_slot_cover(a, s, role, piece.from, piece.to);
	}
	rr_slot_filled(a, q, s);
	return 0;
}

/* May another cell be begun now? */
RR_STEP int rr_zero_may_begin(rr_array_t *a, rr_queue_t *q)
{
	if (q->zero_held || q->free_slot == RR_NIL)
		return 0;
	return !q->zeroing || (q->zeroing < a->slots / 4 && q->slot_wait.head == RR_NIL &&
			       q->free_slots > a->slots / 4);
}

/* Requests in line start what cells they may; those that have begun all leave it. */
RR_FN int rr_zero_waiters(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA)
{
	rr_request_t *r;
	rr_u32 tag;
	rr_s32 i;

	rr_for (i, RR_SLOTS_MAX + RR_DEPTH_MAX) {
		tag = q->zero_wait.head;
		if (tag == RR_NIL)
			return 0;
		r = rr_request_at(a, q, tag);
		if (r->wanted_roles) {
			if (!rr_zero_may_begin(a, q) || !rr_zero_start_cell(a, q, tag))
				break;
			continue;
		}
		rr_request_pop(a, q, &q->zero_wait);
		q->zero_begun = 0;
		q->zero_cells = 0;
		r->flags &= ~RR_REQ_QUEUED;
		if (!r->pending)
			rr_request_done(a, q, tag);
	}
	if (q->zero_held)
		q->tick_wanted = 1;
	else
		q->zero_first = !q->zeroing;
	return 0;
}

/* The flusher was not reached: again at the next tick, for as long as it takes. */
RR_FN int rr_zero_lost(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u64 token)
{
	rr_u64 io = (token & ~0xffULL) | RR_TOKEN_SLOT;

	if (!rr_retry_later(q, io))
		rr_slot_emit(a, q, io);
	return 0;
}

#endif /* RINGRAID_ENGINE_ZERO_H */
