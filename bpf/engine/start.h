/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a client's request to direct reads and slots.
 *
 * Healthy reads go straight from the member into the client's pages: no lock,
 * no buffer, one member I/O a chunk (cut at read_cut). Everything else wants
 * cells: reads of a role that is missing or whose direct read failed, reads
 * without a registered buffer, and all writes. A wanted cell becomes a slot as
 * soon as one is free, in the order in which requests came.
 *
 * A block is read once: where a request wants the missing role, what it wants of
 * the others in the same rows is delivered from what the rebuild reads of them
 * (docs/decisions/0019). N = 4, D1 missing, a request of "=":
 *
 *   D0  ......======   what D0 and D2 have to give lies in D1's rows: it comes
 *   D1  ============   out of D1's slots, and no direct read is left. Without
 *   D2  =====.......   D1's first half, that of D2 would be read directly.
 *
 * Where a stream's requests want a part of a stripe each, the others' rows come with other
 * requests. A read that goes on where one of late has ended is taken for part of a stream,
 * and so is one of a MiB: all that it wants goes through slots, which keep it (kept.h) until
 * D1's turn has come, and then what that has read. Others do not pay for what nobody will
 * ask for.
 */
#ifndef RINGRAID_ENGINE_START_H
#define RINGRAID_ENGINE_START_H

#include "job.h"
#include "region.h"

/* zero.h */
RR_FN int rr_zero_start(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 tag);

RR_STEP void rr_direct_emit(rr_array_t *a, rr_queue_t *q, rr_u32 tag, rr_u32 role,
			    rr_u64 member_sector, rr_u32 sector, rr_u32 sectors)
{
	rr_u64 token = rr_token_extent(rr_token(RR_TOKEN_DIRECT, role, tag), sector, sectors);
	rr_u32 r = role & (RR_MEMBERS_MAX - 1);

	rr_count(q, direct_reads, 1);
	rr_emit(a, q, RR_ACT_READ_DIRECT, r, tag, token,
		(a->members[r].data_offset + member_sector) << RR_SECTOR_SHIFT,
		(rr_u64)sector << RR_SECTOR_SHIFT, sectors << RR_SECTOR_SHIFT);
}

/* The cell, on a member, of sector @from of its chunk in @stripe. */
RR_STEP rr_u64 rr_member_cell(rr_array_t *a, rr_u64 stripe, rr_u32 from)
{
	return (((stripe << a->geometry.chunk_shift) + from) << RR_SECTOR_SHIFT) >> a->cell_shift;
}

/* Direct reads of sectors [from, to) of data chunk @index. */
RR_FN int rr_read_chunk(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 tag,
			rr_u32 index)
{
	rr_request_t *r = rr_request_at(a, q, tag);
	struct rr_place p = rr_request_place(a, r);
	struct rr_part part = rr_request_rest(a, r, &p, index);
	rr_u32 role = rr_data_member(&a->geometry, p.parity, index);
	rr_u32 cut = a->read_cut;
	rr_u32 at = part.from;
	rr_u32 base = (index << a->geometry.chunk_shift) - p.start;
	rr_u32 end;
	rr_s32 i;

	if (part.from >= part.to)
		return 0;
	if (rr_role_out(a, role, rr_member_cell(a, p.stripe, part.to - 1)) ||
	    (r->rebuilt >> (role & 15) & 1) || (r->flags & (RR_REQ_COPY | RR_REQ_ROWS)) ||
	    !a->zero_copy) {
		r->want[role & (RR_MEMBERS_MAX - 1)] = rr_part_cells(a, part.from, part.to);
		r->wanted_roles |= 1U << role;
		return 0;
	}
	rr_for (i, RR_CELLS_MAX) {
		if (at >= part.to)
			break;
		end = (at / cut + 1) * cut;
		if (end > part.to)
			end = part.to;
		r->pending++;
		rr_direct_emit(a, q, tag, role, (p.stripe << a->geometry.chunk_shift) + at,
			       base + at, end - at);
		at = end;
	}
	return 0;
}

/*
 * The slot carries what the request has of data chunk @index in sectors
 * [from, to) of a cell of the chunk; @window is from | to << 16.
 */
RR_FN int rr_slot_carry(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot,
			rr_u32 index, rr_u32 window)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_request_t *r = rr_request_at(a, q, s->tag);
	struct rr_place p = rr_request_place(a, r);
	rr_u32 role = rr_data_member(&a->geometry, p.parity, index) & (RR_MEMBERS_MAX - 1);
	rr_u32 cell_sectors = 1U << (a->cell_shift - RR_SECTOR_SHIFT);
	rr_u32 from = window & 0xffff;
	rr_u32 to = window >> 16;
	rr_u32 cell_from = from & ~(cell_sectors - 1);
	struct rr_part part = r->rebuilt >> (s->role & (RR_MEMBERS_MAX - 1)) & 1
				      ? rr_request_part(a, r, p.start, index)
				      : rr_request_rest(a, r, &p, index);

	if (from < part.from)
		from = part.from;
	if (to > part.to)
		to = part.to;
	if (from >= to)
		return 0;
	s->payload[role] = (index << a->geometry.chunk_shift) + from - p.start;
	rr_slot_cover(a, s, role, from - cell_from, to - cell_from);
	return 0;
}

/* As rr_slot_carry(), of all data chunks. */
RR_STEP void rr_slot_carry_all(rr_array_t *a, rr_queue_t *q, rr_u32 slot, rr_u32 window)
{
	rr_s32 i;

	rr_for (i, RR_MEMBERS_MAX - 1) {
		if ((rr_u32)i >= a->geometry.members - 1)
			break;
		rr_slot_carry(a, q, slot, i, window);
	}
}

/* An empty slot on cell @cell of the chunk; the cell's window for rr_slot_carry(). */
RR_STEP rr_u32 rr_slot_place(rr_array_t *a, rr_slot_t *s, struct rr_place *p, rr_u32 cell)
{
	rr_u32 shift = a->cell_shift - RR_SECTOR_SHIFT;
	rr_u32 from = cell << shift;

	s->parity = p->parity;
	s->lo = 1U << shift;
	s->hi = 0;
	s->data_mask = 0;
	s->gaps = 0;
	s->units[p->parity & (RR_MEMBERS_MAX - 1)] = 0;
	s->cell = rr_member_cell(a, p->stripe, from);
	return from | (from + (1U << shift)) << 16;
}

/* What a slot on a cell carries for the write of its tag is known. */
RR_STEP void rr_slot_filled(rr_array_t *a, rr_queue_t *q, rr_slot_t *s)
{
	rr_u32 parity = s->parity & (RR_MEMBERS_MAX - 1);

	s->role = rr_lowest_bit(s->data_mask);
	s->from[parity] = s->lo;
	s->to[parity] = s->hi;
	s->fua = (rr_request_at(a, q, s->tag)->flags & RR_REQ_FUA) != 0;
	s->parts = rr_count_bits(s->data_mask);
	s->lock = rr_lock_index(s->cell);
	s->lock_mask = rr_lock_mask(a, s->lo, s->hi);
}

/* Fills a slot on a cell for the write of its tag. */
RR_FN int rr_slot_init_write(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_request_t *r = rr_request_at(a, q, s->tag);
	struct rr_place p = rr_request_place(a, r);
	rr_u32 cells = 1U << (a->geometry.chunk_shift + RR_SECTOR_SHIFT - a->cell_shift);
	rr_u32 first = p.start >> a->geometry.chunk_shift;
	rr_u32 count = ((p.start + r->sectors - 1) >> a->geometry.chunk_shift) - first + 1;
	struct rr_piece piece;
	rr_u32 role;
	rr_s32 i;

	rr_slot_place(a, s, &p, (rr_u32)s->cell & (cells - 1));
	rr_for (i, RR_MEMBERS_MAX - 1) {
		if ((rr_u32)i >= count)
			break;
		piece = rr_piece_of(a, s, r, p.start, first + i);
		if (piece.from >= piece.to)
			continue;
		role = rr_data_member(&a->geometry, p.parity, first + i) & (RR_MEMBERS_MAX - 1);
		s->payload[role] = piece.payload;
		rr_slot_cover(a, s, role, piece.from, piece.to);
	}
	rr_slot_filled(a, q, s);
	return 0;
}

/*
 * Fills a slot for cell @cell (of the chunk) of s->role, which a read wants; and of
 * its peers, in the same rows, if they are delivered from there.
 */
RR_FN int rr_slot_init_read(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot,
			    rr_u32 cell)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_request_t *r = rr_request_at(a, q, s->tag);
	struct rr_place p = rr_request_place(a, r);
	rr_u32 role = s->role & (RR_MEMBERS_MAX - 1);
	rr_u32 window = rr_slot_place(a, s, &p, cell);
	rr_u32 base = window & 0xffff;

	rr_slot_carry(a, q, slot, rr_data_index(&a->geometry, p.parity, role), window);
	if (r->rebuilt >> role & 1)
		rr_slot_carry_all(a, q, slot, (base + s->lo) | (base + s->hi) << 16);
	return 0;
}

/* The write @tag, which wants one cell and is in no list, waits behind a slot that works on it. */
RR_STEP void rr_write_follows(rr_array_t *a, rr_queue_t *q, rr_u32 tag, rr_slot_t *s)
{
	rr_request_t *r = rr_request_at(a, q, tag);

	rr_request_pop(a, q, &q->slot_wait);
	r->flags &= ~RR_REQ_QUEUED;
	r->wanted_roles = 0;
	r->pending = 1;
	rr_rider_push(a, q, &s->behind, tag);
}

/* The free @slot is for the lowest cell that the write @tag still wants. */
RR_STEP rr_slot_t *rr_write_takes(rr_array_t *a, rr_queue_t *q, rr_u32 tag, rr_u32 slot)
{
	rr_request_t *r = rr_request_at(a, q, tag);

	rr_slot_new(a, q, RR_OP_WRITE, tag, slot);
	r->want[0] &= r->want[0] - 1;
	if (!r->want[0])
		r->wanted_roles = 0;
	r->pending++;
	return rr_slot_at(a, q, slot);
}

/* A cell of the write @tag waits, with a ticket, behind the slot that works on it. */
RR_FN int rr_write_follows_there(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 tag,
				 rr_u32 before)
{
	rr_u32 ticket = q->free_slot;
	rr_slot_t *t = rr_slot_at(a, q, ticket);

	t->keeps = RR_KEEPS_NOTHING;
	rr_write_takes(a, q, tag, ticket);
	/* Nobody finds it as one that works. */
	rr_store(t->cell, ~0ULL);
	rr_store(t->phase, RR_PHASE_FOLLOW);
	rr_rider_push(a, q, &rr_slot_at(a, q, before)->behind, RR_TICKET + ticket);
	return 0;
}

/*
 * One wanted cell of the write at the head of the line: it follows a slot that works on
 * that cell, or becomes one, which is the one that has kept the cell, or any. 0: there is
 * none.
 */
RR_FN int rr_write_start_cell(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 tag)
{
	rr_request_t *r = rr_request_at(a, q, tag);
	rr_u32 cell = rr_lowest_bit(r->want[0]);
	rr_u64 at = rr_member_cell(a, rr_request_place(a, r).stripe,
				   cell << (a->cell_shift - RR_SECTOR_SHIFT));
	rr_u32 place = rr_kept_place(at);
	rr_u32 slot = q->kept_at[place];
	rr_slot_t *s = rr_slot_at(a, q, slot);
	int works;

	if (slot >= a->slots || s->cell != at || s->op != RR_OP_WRITE)
		slot = RR_NIL;
	works = slot != RR_NIL && s->phase != RR_PHASE_FREE;
	if (works && (r->flags & RR_REQ_ONE)) {
		rr_write_follows(a, q, tag, s);
		return 1;
	}
	if (q->free_slot == RR_NIL)
		return 0;
	if (works) {
		rr_write_follows_there(a, q, tag, slot);
		return 1;
	}
	if (slot == RR_NIL) {
		slot = q->free_slot;
		s = rr_slot_at(a, q, slot);
		if (s->cell != at)
			s->keeps = RR_KEEPS_NOTHING;
	}
	rr_write_takes(a, q, tag, slot)->cell = at;
	q->kept_at[place] = slot;
	rr_slot_starts(a, q, slot);
	return 1;
}

/* A free slot for a read of @cell: that which keeps rows of it, if they are of use, or any. */
RR_STEP rr_u32 rr_read_slot(rr_array_t *a, rr_queue_t *q, rr_request_t *r, rr_u64 cell)
{
	rr_u32 slot = q->kept_at[rr_kept_place(cell)];
	rr_slot_t *s = rr_slot_at(a, q, slot);

	if ((r->flags & RR_REQ_ROWS) && slot < a->slots && s->phase == RR_PHASE_FREE &&
	    s->op == RR_OP_READ && s->cell == cell)
		return slot;
	slot = q->free_slot;
	rr_slot_at(a, q, slot)->keeps = RR_KEEPS_NOTHING;
	return slot;
}

/* One wanted cell of a read becomes a slot. The caller knows that one is free. */
RR_FN int rr_read_start_cell(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 tag)
{
	rr_request_t *r = rr_request_at(a, q, tag);
	rr_u32 role = rr_lowest_bit(r->wanted_roles);
	rr_u32 cell = rr_lowest_bit(r->want[role & (RR_MEMBERS_MAX - 1)]);
	rr_u32 slot = rr_read_slot(a, q, r,
				   rr_member_cell(a, rr_request_place(a, r).stripe,
						  cell << (a->cell_shift - RR_SECTOR_SHIFT)));
	rr_slot_t *s = rr_slot_at(a, q, slot);

	rr_slot_new(a, q, RR_OP_READ, tag, slot);
	r->want[role & (RR_MEMBERS_MAX - 1)] &= ~(1U << cell);
	if (!r->want[role & (RR_MEMBERS_MAX - 1)])
		r->wanted_roles &= ~(1U << role);
	r->pending++;
	s->role = role;
	s->fua = 0;
	rr_slot_init_read(a, q, slot, cell);
	s->lock = rr_lock_index(s->cell);
	s->lock_mask = rr_lock_mask(a, s->lo, s->hi);
	if (!(r->flags & RR_REQ_ROWS) && !(r->rebuilt >> role & 1) &&
	    !rr_role_out(a, role, s->cell) &&
	    ((r->flags & (RR_REQ_COPY | RR_REQ_PICK)) || !a->zero_copy)) {
		s->plan = RR_PLAN_READ;
		rr_count(q, slot_reads, 1);
		rr_slot_enter(a, q, slot, RR_PHASE_READ, 1U << role);
		return 0;
	}
	rr_slot_starts(a, q, slot);
	return 0;
}

/*
 * Puts the request in line for slots; rr_settle() starts it, in this turn if
 * slots are free. It ends only after it has left the line.
 */
RR_STEP void rr_request_line_up(rr_array_t *a, rr_queue_t *q, rr_u32 tag)
{
	rr_request_t *r = rr_request_at(a, q, tag);

	if (!r->wanted_roles || (r->flags & RR_REQ_QUEUED))
		return;
	if (q->free_slot == RR_NIL)
		rr_count(q, slot_waits, 1);
	r->flags |= RR_REQ_QUEUED;
	rr_request_push(a, q, &q->slot_wait, tag);
}

/* The role that is missing, as a mask, if the request wants something of it. */
RR_STEP rr_u32 rr_read_rebuilt(rr_array_t *a, rr_request_t *r)
{
	rr_u32 missing = rr_state_missing(rr_load(a->state));
	struct rr_place p = rr_request_place(a, r);
	struct rr_part part;

	if (missing == RR_NO_ROLE || missing == p.parity)
		return 0;
	part = rr_request_part(a, r, p.start, rr_data_index(&a->geometry, p.parity, missing));
	if (part.from >= part.to ||
	    !rr_role_out(a, missing, rr_member_cell(a, p.stripe, part.to - 1)))
		return 0;
	return 1U << missing;
}

#define RR_READ_ENDS 256 /* that are remembered */

/* Where a read that has ended at @sector is remembered. */
RR_STEP rr_lock_t *rr_read_end_at(rr_array_t *a, rr_u64 sector)
{
	return rr_lock_at(a, rr_lock_index(sector) & (RR_READ_ENDS - 1));
}

RR_STEP int rr_read_has_ended(rr_array_t *a, rr_u64 sector)
{
	return rr_load(rr_read_end_at(a, sector)->read_end) == (rr_u32)sector;
}

#define RR_READ_STREAMS (1U << 11) /* sectors, that nobody reads by chance: 1 MiB */

/*
 * 1: it goes on where a read of late has ended, or one of its length is between them; or
 * one such has come before it, from another queue. Or it is as long as what the block layer
 * makes of a stream's first requests, where several are asked for at once.
 */
RR_STEP int rr_read_streams(rr_array_t *a, rr_request_t *r)
{
	rr_u64 end = r->sector + r->sectors;

	rr_store(rr_read_end_at(a, end)->read_end, (rr_u32)end);
	return r->sectors >= RR_READ_STREAMS || rr_read_has_ended(a, r->sector) ||
	       rr_read_has_ended(a, r->sector - r->sectors) ||
	       rr_read_has_ended(a, end + r->sectors);
}

/* Decides whether a part of a stripe, in a degraded array, is read by rows. */
RR_FN int rr_read_by_rows(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 tag)
{
	rr_request_t *r = rr_request_at(a, q, tag);
	rr_u64 state = rr_load(a->state);
	struct rr_place p = rr_request_place(a, r);
	rr_u32 all = (a->geometry.members - 1) << a->geometry.chunk_shift;

	if (!rr_kept_may(RR_OP_READ, state) || !rr_read_streams(a, r) ||
	    rr_state_missing(state) == p.parity || r->sectors == all)
		return 0;
	r->flags |= RR_REQ_ROWS;
	/* One slot for all that is wanted of a row. */
	if (!r->rebuilt)
		r->rebuilt = 1U << rr_data_member(&a->geometry, p.parity,
						  p.start >> a->geometry.chunk_shift);
	return 0;
}

RR_FN int rr_read_start(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 tag)
{
	rr_request_t *r = rr_request_at(a, q, tag);
	rr_u32 chunks = a->geometry.members - 1;
	rr_u32 start = rr_request_place(a, r).start;
	rr_u32 first = start >> a->geometry.chunk_shift;
	rr_u32 last = (start + r->sectors - 1) >> a->geometry.chunk_shift;
	rr_s32 i;

	rr_count(q, reads, 1);
	rr_count(q, read_sectors, r->sectors);
	r->pending = 1;
	r->rebuilt = rr_read_rebuilt(a, r);
	if (rr_load(a->state) & RR_STATE_MISSING)
		rr_read_by_rows(a, q, tag);
	rr_for (i, RR_MEMBERS_MAX) {
		if (first + i > last || first + i >= chunks)
			break;
		rr_read_chunk(a, q, tag, first + i);
	}
	rr_request_line_up(a, q, tag);
	rr_request_part_done(a, q, tag, 0);
	return 0;
}

RR_FN int rr_write_start(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 tag)
{
	rr_request_t *r = rr_request_at(a, q, tag);
	rr_u32 start = rr_request_place(a, r).start;
	rr_u32 cells;

	if (rr_load(a->state) & RR_STATE_BROKEN) {
		r->error = -RR_EIO;
		return rr_request_done(a, q, tag);
	}
	if (r->flags & RR_REQ_ZEROES)
		return rr_zero_start(a, q, tag);
	if (a->regions_on && rr_region_holds(a, q, tag))
		return 0;
	rr_count(q, writes, 1);
	rr_count(q, write_sectors, r->sectors);
	cells = rr_stripe_cells(a, start, start + r->sectors);
	r->want[0] = cells;
	r->wanted_roles = 1;
	if (!(cells & (cells - 1)))
		r->flags |= RR_REQ_ONE;
	rr_request_line_up(a, q, tag);
	return 0;
}

/*
 * A direct read came back. An error is answered with reads of the peers, now; one
 * of several cells is first tried cell by cell, so that only the bad one costs that.
 */
RR_FN int rr_direct_complete(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u64 token,
			     rr_s32 res)
{
	rr_u32 tag = rr_token_index(token);
	rr_u32 role = rr_token_role(token);
	rr_u32 sector = rr_token_sector(token);
	rr_u32 sectors = rr_token_sectors(token);
	rr_request_t *r = rr_request_at(a, q, tag);
	struct rr_place p;
	rr_u32 from, cells;
	int judged;

	if (res == RR_RESULT_WHOLE || res == (rr_s32)(sectors << RR_SECTOR_SHIFT)) {
		rr_request_part_done(a, q, tag, 0);
		return 0;
	}
	p = rr_request_place(a, r);
	from = (p.start + sector) & ((1U << a->geometry.chunk_shift) - 1);
	judged = (!res || !rr_transient(res)) && rr_suspect(a, q, role, res);
	if (judged || (rr_transient(res) && r->retries < rr_retries_max() &&
		       !(rr_load(a->state) >> role & 1))) {
		if (rr_retry_later(q, judged ? token | RR_TOKEN_SUSPECT : token))
			r->retries += judged ? 0 : rr_patience(res);
		else
			rr_direct_emit(a, q, tag, role,
				       (p.stripe << a->geometry.chunk_shift) + from, sector,
				       sectors);
		return 0;
	}
	rr_count(q, read_errors, 1);
	if (!r->error) {
		/* What an earlier request of the tag left there when it failed is not wanted. */
		if (!(r->wanted_roles >> role & 1))
			r->want[role] = 0;
		cells = rr_part_cells(a, from, from + sectors);
		if (!rr_transient(res) && (cells & (cells - 1)))
			r->flags |= RR_REQ_PICK;
		r->want[role] |= cells;
		r->wanted_roles |= 1U << role;
		rr_request_line_up(a, q, tag);
	}
	rr_request_part_done(a, q, tag, 0);
	return 0;
}

#endif /* RINGRAID_ENGINE_START_H */
