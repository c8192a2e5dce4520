/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Writes to one cell become one operation.
 *
 * A queue works on a cell in one slot at a time. A write that finds its cell in work
 * there waits behind that slot, without one of its own; those that came in the same turn
 * find the slot before it has begun. When the slot has its row lock it takes along all
 * that wait behind it: one lock, one plan, one set of member I/Os, one parity, and all
 * are answered when the last member write is done. Nobody waits for others to come.
 *
 *   slot   tag 7, more: 3 -> 9     in work: one operation of three writes
 *          behind: 12 -> 4         the next one: 12, and 4 is taken along
 *
 * Who waits, or comes along, is a rider. A write of one cell is one by its tag. A write of
 * several cells has to be in a list for each: for each cell that is in work it takes a slot
 * as a ticket (RR_PHASE_FOLLOW), whose buffers nobody uses and which is free again when that
 * cell is done. So two halves of a stripe that come together are one full stripe.
 *
 * What is written is a set of units for each role, not a range: two blocks far apart are
 * not joined by what lies between them. I/O goes to each run of units,
 *
 *   D1     ..##...#........        two reads, two writes
 *   D2     ...#............        one of each
 *   P      ..##...#........        two, and not three: its rows are shared
 *
 * cut to from[] and to[] at the ends. Inside of a unit there may be gaps: what they hold
 * was read, or kept, and is written again, under the lock.
 *
 * The lock grows with the hull of the operation, by tries that wait for nothing; a write
 * whose units somebody else has stays behind. So it is for one that the host copies in
 * another way, and for the copy that is one too many.
 *
 * FUA of one makes the whole FUA. A copy that fails is the error of its request alone:
 * nothing is on a member yet, so the others are planned again without it. Where the whole
 * cannot be done since blocks cannot be read, each is tried for itself: it may not need
 * them. Once members are written, what becomes of the row is the answer to all.
 *
 * Nobody waits in a circle: a rider holds no lock, and those before it have all they need.
 */
#ifndef RINGRAID_ENGINE_GATHER_H
#define RINGRAID_ENGINE_GATHER_H

#include "kept.h"

/* The part of a write that lies in a slot's cell on one role: sectors there and in the request. */
struct rr_piece {
	rr_u32 from;
	rr_u32 to;
	rr_u32 payload;
};

/*
 * The part of sectors [start, end) of the stripe in the slot's cell of data chunk @index;
 * empty: from >= to.
 */
RR_STEP struct rr_piece rr_piece_in(rr_array_t *a, rr_slot_t *s, rr_u32 start, rr_u32 end,
				    rr_u32 index)
{
	rr_u32 cell = 1U << (a->cell_shift - RR_SECTOR_SHIFT);
	rr_u32 window = (rr_u32)(s->cell << (a->cell_shift - RR_SECTOR_SHIFT)) &
			((1U << a->geometry.chunk_shift) - 1);
	struct rr_part part = rr_stripe_part(a, start, end, index);
	struct rr_piece piece = { 0, 0, 0 };

	if (part.from < window)
		part.from = window;
	if (part.to > window + cell)
		part.to = window + cell;
	if (part.from >= part.to)
		return piece;
	piece.from = part.from - window;
	piece.to = part.to - window;
	piece.payload = (index << a->geometry.chunk_shift) + part.from - start;
	return piece;
}

/* The same of @r, which begins at @start of its stripe. */
RR_STEP struct rr_piece rr_piece_of(rr_array_t *a, rr_slot_t *s, rr_request_t *r, rr_u32 start,
				    rr_u32 index)
{
	return rr_piece_in(a, s, start, start + r->sectors, index);
}

/* What the request @tag has of @role: one that is alone is what the slot has. */
RR_STEP struct rr_piece rr_slot_piece(rr_array_t *a, rr_queue_t *q, rr_slot_t *s, rr_u32 tag,
				      rr_u32 role)
{
	struct rr_piece alone = { s->from[role], s->to[role], s->payload[role] };
	rr_request_t *r = rr_request_at(a, q, tag);

	if (s->more.head == RR_NIL)
		return alone;
	return rr_piece_of(a, s, r, rr_request_place(a, r).start,
			   rr_data_index(&a->geometry, s->parity, role));
}

/* The lowest run of set bits. */
RR_STEP rr_u32 rr_first_run(rr_u32 mask)
{
	return mask & ~(mask + (mask & -mask));
}

RR_STEP rr_u32 rr_rider_tag(rr_array_t *a, rr_queue_t *q, rr_u32 rider)
{
	return rider < RR_TICKET ? rider : rr_slot_at(a, q, rider - RR_TICKET)->tag;
}

RR_STEP rr_u32 rr_rider_next(rr_array_t *a, rr_queue_t *q, rr_u32 rider)
{
	return rider < RR_TICKET ? rr_request_at(a, q, rider)->next
				 : rr_slot_at(a, q, rider - RR_TICKET)->next;
}

RR_STEP void rr_rider_before(rr_array_t *a, rr_queue_t *q, rr_u32 rider, rr_u32 next)
{
	if (rider < RR_TICKET)
		rr_request_at(a, q, rider)->next = next;
	else
		rr_slot_at(a, q, rider - RR_TICKET)->next = next;
}

RR_STEP void rr_rider_push(rr_array_t *a, rr_queue_t *q, rr_fifo_t *f, rr_u32 rider)
{
	rr_rider_before(a, q, rider, RR_NIL);
	if (f->head == RR_NIL)
		f->head = rider;
	else
		rr_rider_before(a, q, f->tail, rider);
	f->tail = rider;
}

RR_STEP rr_u32 rr_rider_pop(rr_array_t *a, rr_queue_t *q, rr_fifo_t *f)
{
	rr_u32 rider = f->head;

	if (rider != RR_NIL)
		f->head = rr_rider_next(a, q, rider);
	return rider;
}

/* The rider is in no list any more: its tag. A ticket is free. */
RR_STEP rr_u32 rr_rider_leaves(rr_array_t *a, rr_queue_t *q, rr_u32 rider)
{
	rr_u32 tag = rr_rider_tag(a, q, rider);

	if (rider >= RR_TICKET) {
		rr_store(rr_slot_at(a, q, rider - RR_TICKET)->phase, RR_PHASE_FREE);
		rr_free_push(a, q, rider - RR_TICKET);
	}
	return tag;
}

/* Each run of a mask of units, from the lowest on. */
#define rr_for_runs(run, mask)                                                                     \
	for (rr_u32 rest_ = (mask); rest_ && rr_may_go_on() && ((run) = rr_first_run(rest_), 1);   \
	     rest_ &= ~(run))

/* The sectors of a run of the units of @role: the first, and above it how many. */
RR_FN int rr_run_sectors(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot,
			 rr_u32 role, rr_u32 run)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 shift = a->unit_shift - RR_SECTOR_SHIFT;
	rr_u32 r = role & (RR_MEMBERS_MAX - 1);
	rr_u32 from = s->from[r];
	rr_u32 to = s->to[r];
	rr_u32 first, end;

	if (run != s->units[r]) {
		first = rr_lowest_bit(run) << shift;
		end = first + (rr_count_bits(run) << shift);
		if (from < first)
			from = first;
		if (to > end)
			to = end;
	}
	return (int)(from | (to - from) << 16);
}

/* The slot carries sectors [from, to) of @role. */
RR_STEP void rr_slot_cover(rr_array_t *a, rr_slot_t *s, rr_u32 role, rr_u32 from, rr_u32 to)
{
	rr_u32 units = rr_lock_mask(a, from, to);
	rr_u32 whole = rr_kept_units(a, from, to);

	s->units[s->parity & (RR_MEMBERS_MAX - 1)] |= units;
	if (from < s->lo)
		s->lo = from;
	if (to > s->hi)
		s->hi = to;
	if (!(s->data_mask >> role & 1)) {
		s->data_mask |= 1U << role;
		s->from[role] = from;
		s->to[role] = to;
		s->units[role] = units;
		s->whole[role] = whole;
		return;
	}
	if (from > s->to[role] || to < s->from[role])
		s->gaps |= 1U << role;
	if (from < s->from[role])
		s->from[role] = from;
	if (to > s->to[role])
		s->to[role] = to;
	s->units[role] |= units;
	s->whole[role] |= whole;
}

/*
 * May @tag come along where rows are logged (log.h)? An entry names neighbours, and whole
 * units say which those are. A host that fuses folds each payload into partial parity when it
 * copies it, so there no block may come twice.
 */
RR_FN int rr_log_may_gather(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot,
			    rr_u32 tag)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_request_t *r = rr_request_at(a, q, tag);
	rr_u32 start = rr_request_place(a, r).start;
	rr_u32 seen = rr_counted_from(0), ended = rr_counted_from(0);
	rr_u32 role, units, more;
	struct rr_piece piece;
	rr_s32 i;

	rr_for (i, RR_MEMBERS_MAX - 1) {
		if ((rr_u32)i >= a->geometry.members - 1)
			break;
		role = rr_data_member(&a->geometry, s->parity, i) & (RR_MEMBERS_MAX - 1);
		piece = rr_piece_of(a, s, r, start, i);
		units = s->data_mask >> role & 1 ? s->units[role] : 0U;
		more = piece.from < piece.to ? rr_lock_mask(a, piece.from, piece.to) : 0;
		if ((units && units != s->whole[role]) || (q->fused && (units & more)) ||
		    (more && more != rr_kept_units(a, piece.from, piece.to)))
			return 0;
		units |= more;
		if (units & ended)
			return 0;
		ended |= seen & ~units;
		seen |= units;
	}
	return 1;
}

/* What the write @tag has of the slot's cell becomes part of its operation. 0: it cannot. */
RR_FN int rr_slot_add(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot,
		      rr_u32 tag)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_request_t *r = rr_request_at(a, q, tag);
	rr_u32 start = rr_request_place(a, r).start;
	rr_u32 first = start >> a->geometry.chunk_shift;
	rr_u32 chunks = ((start + r->sectors - 1) >> a->geometry.chunk_shift) - first + 1;
	rr_u32 lo = s->lo;
	rr_u32 hi = s->hi;
	rr_u32 parts = s->parts;
	struct rr_piece piece;
	rr_u32 extra;
	rr_s32 i;

	rr_for (i, RR_MEMBERS_MAX - 1) {
		if ((rr_u32)i >= chunks)
			break;
		piece = rr_piece_of(a, s, r, start, first + i);
		if (piece.from >= piece.to)
			continue;
		parts++;
		if (piece.from < lo)
			lo = piece.from;
		if (piece.to > hi)
			hi = piece.to;
	}
	if (parts > RR_PARTS_MAX ||
	    (q->fused && ((r->flags ^ rr_request_at(a, q, s->tag)->flags) & RR_REQ_COPY)))
		return 0;
	extra = rr_lock_mask(a, lo, hi) & ~s->lock_mask;
	if (extra && !rr_lock_try(a, q->id, s->lock, extra, rr_slot_who(a, q, slot)))
		return 0;
	s->lock_mask |= extra;
	s->parts = parts;
	s->fua |= (r->flags & RR_REQ_FUA) != 0;
	rr_for (i, RR_MEMBERS_MAX - 1) {
		if ((rr_u32)i >= chunks)
			break;
		piece = rr_piece_of(a, s, r, start, first + i);
		if (piece.from >= piece.to)
			continue;
		rr_slot_cover(a, s,
			      rr_data_member(&a->geometry, s->parity, first + i) &
				      (RR_MEMBERS_MAX - 1),
			      piece.from, piece.to);
	}
	return 1;
}

/* The slot has its lock: what waits behind it comes along, as far as it can. */
RR_FN int rr_slot_take_along(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 parity = s->parity & (RR_MEMBERS_MAX - 1);
	rr_u32 last = s->behind.tail;
	rr_u32 rider, tag;
	rr_s32 i;

	rr_for (i, RR_DEPTH_MAX) {
		rider = rr_rider_pop(a, q, &s->behind);
		if (rider == RR_NIL)
			break;
		tag = rr_rider_tag(a, q, rider);
		if ((!a->log_roles || rr_log_may_gather(a, q, slot, tag)) &&
		    rr_slot_add(a, q, slot, tag)) {
			q->gathered++;
			rr_rider_push(a, q, &s->more, rider);
		} else {
			rr_rider_push(a, q, &s->behind, rider);
		}
		if (rider == last)
			break;
	}
	s->from[parity] = s->lo;
	s->to[parity] = s->hi;
	return 0;
}

/* Nothing is done yet of what the slot is for now. */
RR_STEP void rr_slot_reset(rr_slot_t *s)
{
	s->error = 0;
	s->retries = 0;
	s->locked = 0;
	s->lock_tries = 0;
	s->spoilt = 0;
	s->bad = RR_NO_ROLE;
	s->lost = RR_NO_ROLE;
	s->more.head = RR_NIL;
	s->log = 0;
	s->later = 0;
}

/* The slot asks for its lock when the turn is settled. */
RR_STEP void rr_slot_starts(rr_array_t *a, rr_queue_t *q, rr_u32 slot)
{
	rr_store(rr_slot_at(a, q, slot)->phase, RR_PHASE_LOCK);
	rr_slot_push(a, q, &q->starting, slot);
}

/* What the slot did for its requests, for whoever times them (ring/latency.h). */
RR_FN int rr_slot_tell_plan(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 plan = s->plan == RR_PLAN_RCW && !s->read_mask ? (rr_u32)RR_PLAN_FULL : s->plan;
	rr_u32 next = s->more.head;
	rr_u32 tag = s->tag;
	rr_s32 i;

	if (s->op == RR_OP_JOB)
		return 0;
	rr_for (i, RR_DEPTH_MAX) {
		q->plans[tag & (RR_DEPTH_MAX - 1)] |= 1U << plan;
		if (next == RR_NIL)
			break;
		tag = rr_rider_tag(a, q, next);
		next = rr_rider_next(a, q, next);
	}
	return 0;
}

/* The request @tag has its part in the slot's operation behind it: 1; or goes on: 0. */
RR_STEP int rr_part_ends(rr_array_t *a, rr_queue_t *q, rr_u32 tag, rr_s32 error, int again)
{
	rr_s32 its_error = rr_request_at(a, q, tag)->error;

	if (again && !its_error)
		return 0;
	rr_request_part_done(a, q, tag, error ? error : its_error);
	return 1;
}

/* All that the slot has carried end, or go on where @again says so: how many. */
RR_STEP rr_u32 rr_riders_end(rr_array_t *a, rr_queue_t *q, rr_u32 slot, rr_s32 error, int again)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 last = s->more.tail;
	rr_u32 left = rr_counted_from(1);
	rr_u32 rider;
	rr_s32 i;

	if (rr_part_ends(a, q, s->tag, error, again)) {
		s->tag = RR_NIL;
		left--;
	}
	rr_for (i, RR_DEPTH_MAX) {
		rider = rr_rider_pop(a, q, &s->more);
		if (rider == RR_NIL)
			break;
		if (rr_part_ends(a, q, rr_rider_tag(a, q, rider), error, again)) {
			rr_rider_leaves(a, q, rider);
		} else {
			left++;
			rr_rider_push(a, q, &s->more, rider);
		}
		if (rider == last)
			break;
	}
	return left;
}

/* The slot is for those of its riders that go on, then those behind. 0: nobody is left. */
RR_FN int rr_slot_goes_on(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 rider;

	if (s->more.head != RR_NIL) {
		if (s->behind.head == RR_NIL)
			s->behind.tail = s->more.tail;
		rr_rider_before(a, q, s->more.tail, s->behind.head);
		s->behind.head = s->more.head;
	}
	if (s->tag == RR_NIL) {
		rider = rr_rider_pop(a, q, &s->behind);
		if (rider == RR_NIL)
			return 0;
		s->tag = rr_rider_leaves(a, q, rider);
	}
	rr_slot_reset(s);
	rr_slot_starts(a, q, slot);
	return 1;
}

/*
 * The operation is over, for more than one request. Who is not to blame for that
 * nothing was written goes on; then those behind. 0: nobody is left.
 */
RR_STEP int rr_slot_hand_over(rr_array_t *a, rr_queue_t *q, rr_u32 slot, rr_s32 error, int wrote)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	int again = !wrote && s->more.head != RR_NIL && !(rr_load(a->state) & RR_STATE_BROKEN);
	rr_u32 left = rr_riders_end(a, q, slot, error, again);

	if (again && error)
		s->apart = left;
	return rr_slot_goes_on(a, q, slot);
}

#endif /* RINGRAID_ENGINE_GATHER_H */
