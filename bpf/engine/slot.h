/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A slot: one operation on one cell, from its lock to its last write.
 *
 *   write:   LOCK -> READ [-> LOG] -> COPY_IN -> WRITE -> free (LOG: log.h; of zeros: zero.h)
 *   rebuild: LOCK -> READ -> COPY_OUT [-> REPAIR] -> free
 *   by rows: LOCK [-> READ] -> COPY_OUT -> free (kept.h)
 *   read through a buffer: READ -> COPY_OUT -> free (on an error: rebuild)
 *   job:     LOCK -> READ [-> WRITE] -> free (job.h)
 *
 * A slot owns a buffer of one cell for every member, so a request that has a
 * slot waits for no memory, and one that waits for a lock holds no other lock.
 *
 * Writes follow md's rule (drivers/md/raid5.c, handle_stripe_dirtying): rmw
 * counts the blocks to read for read-modify-write (old data and parity), rcw
 * those for reconstruct-write (data not wholly overwritten); a block that
 * cannot be read excludes the way that needs it; RMW if rmw < rcw, else RCW.
 * Where neither can be had the lost block is rebuilt first (RECON).
 *
 *   N = 5, one 4 KiB block of D1:        D0 [D1] D2 D3 P
 *     rmw = 2 (D1, P)  rcw = 3 (D0, D2, D3)  ->  RMW: P ^= old D1 ^ new D1
 *
 * The payload is copied once, after the reads, over the old data in the
 * buffers; parity is computed from that copy and both are written from it, so
 * a client that changes its pages in flight cannot split data from parity.
 *
 * Where the host is `fused` it does all of this between reads and writes, in one
 * action (ring/fuse.h); nothing else is different.
 *
 * Ordering: phase = WRITE is stored before the first member write is emitted
 * and taken back after the last has completed: between the two the buffers
 * are the redo record of the rows.
 *
 * What the last write to the cell has left in the buffers is not read again (kept.h), not
 * even in those of another queue (borrow.h), and writes that meet at a cell are one
 * operation (gather.h).
 *
 * A failed read: the role becomes `bad` here, the plan is made again without
 * it, and its block is rewritten. A failed write: the member is out.
 */
#ifndef RINGRAID_ENGINE_SLOT_H
#define RINGRAID_ENGINE_SLOT_H

#include "borrow.h"

/* log.h */
RR_STEP int rr_log_wants(rr_array_t *a, rr_slot_t *s);
RR_STEP void rr_log_enter(rr_array_t *a, rr_queue_t *q, rr_u32 slot);

/* job.h */
RR_FN int rr_job_plan(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot);
RR_FN int rr_job_read_done(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot);

/* The host computes and copies (ring/fuse.h); it cannot without the client's pages. */
RR_STEP int rr_slot_fused(rr_array_t *a, rr_queue_t *q, rr_slot_t *s)
{
	return q->fused && s->op != RR_OP_JOB &&
	       !(rr_request_at(a, q, s->tag)->flags & RR_REQ_COPY);
}

/* The free @slot, with nothing done yet. What it keeps the caller has looked at. */
RR_STEP void rr_slot_new(rr_array_t *a, rr_queue_t *q, rr_u32 op, rr_u32 tag, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);

	rr_free_take(a, q, slot);
	if (op == RR_OP_JOB || !s->keeps)
		rr_kept_ends(s);
	s->tag = tag;
	s->op = op;
	s->zero = 0;
	s->apart = 0;
	s->behind.head = RR_NIL;
	rr_slot_reset(s);
}

/* A row of the log's newest unit is durable when it is written: log.h. */
RR_STEP int rr_log_is_durable(rr_array_t *a, rr_slot_t *s, rr_u32 role)
{
	return (s->log & RR_LOG_SHARE) && (a->log_fua >> role & 1);
}

RR_STEP int rr_slot_copies(rr_slot_t *s)
{
	return s->phase == RR_PHASE_COPY_IN || s->phase == RR_PHASE_COPY_OUT;
}

/* Reads or writes @sectors, from the low half on so many as the high one says, of the cell. */
RR_FN int rr_slot_emit_io(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot,
			  rr_u32 role, rr_u32 sectors)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 r = role & (RR_MEMBERS_MAX - 1);
	rr_u32 from = sectors & 0xffff;
	rr_u32 act = RR_ACT_READ;

	if (s->phase != RR_PHASE_READ)
		act = s->fua || rr_log_is_durable(a, s, r) ? RR_ACT_WRITE_FUA : RR_ACT_WRITE;
	if (s->zero == RR_ZERO_ROWS)
		act += RR_ACT_ZERO - RR_ACT_WRITE;
	rr_emit(a, q, act, r, s->tag,
		rr_token_extent(rr_token(RR_TOKEN_SLOT, r, slot), from, sectors >> 16),
		((a->members[r].data_offset + from) << RR_SECTOR_SHIFT) +
			(s->cell << a->cell_shift),
		rr_buffer(a, q, slot, r < a->geometry.members ? r : a->replaced) +
			((rr_u64)from << RR_SECTOR_SHIFT),
		sectors >> 16 << RR_SECTOR_SHIFT);
	return 0;
}

/* Copies what @tag has of @role; where the host fuses, that stands for all copies. 0: nothing. */
RR_FN int rr_slot_emit_copy(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot,
			    rr_u32 role, rr_u32 tag)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 r = role & (RR_MEMBERS_MAX - 1);
	rr_u32 act = s->phase == RR_PHASE_COPY_IN ? RR_ACT_COPY_IN : RR_ACT_COPY_OUT;
	struct rr_piece piece = rr_slot_piece(a, q, s, tag, r);
	rr_u32 sectors = piece.to - piece.from;

	if (piece.from >= piece.to)
		return 0;
	if (rr_slot_fused(a, q, s))
		act = RR_ACT_FUSE;
	else if (s->zero)
		act = RR_ACT_BLANK;
	rr_emit(a, q, act, r, tag, rr_token_extent(rr_token(RR_TOKEN_SLOT, r, slot), tag, sectors),
		(rr_u64)piece.payload << RR_SECTOR_SHIFT,
		rr_buffer(a, q, slot, r) + ((rr_u64)piece.from << RR_SECTOR_SHIFT),
		sectors << RR_SECTOR_SHIFT);
	return 1;
}

/* Zeros, where else a payload is copied to: RR_ACT_BLANK. */
RR_FN int rr_slot_blank(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u64 token,
			rr_u64 address)
{
	if (rr_slot_at(a, q, rr_token_index(token))->zero == RR_ZERO_PAYLOAD)
		rr_xor_set2(a, address, address, address, rr_token_sectors(token));
	return 0;
}

/*
 * An I/O once more, as its token says, which is all that there is to know of it: of a copy
 * the tag, of a member I/O where it begins in the cell; and sectors.
 */
RR_STEP void rr_slot_emit(rr_array_t *a, rr_queue_t *q, rr_u64 token)
{
	rr_u32 slot = rr_token_index(token);
	rr_u32 role = rr_token_role(token);

	if (rr_slot_copies(rr_slot_at(a, q, slot)))
		rr_slot_emit_copy(a, q, slot, role, rr_token_sector(token));
	else
		rr_slot_emit_io(a, q, slot, role, (rr_u32)(token >> 32));
}

/* The reads of this plan are of the whole hull. */
RR_STEP int rr_slot_reads_hull(rr_slot_t *s)
{
	return s->plan == RR_PLAN_RCW || s->plan == RR_PLAN_RECON || s->plan == RR_PLAN_REBUILD;
}

/* A phase's member I/O for the roles. */
RR_FN int rr_slot_issue(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot,
			rr_u32 roles)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	int reads = s->phase == RR_PHASE_READ;
	rr_u32 role, run, units;

	s->pending = 0;
	rr_for_roles (role, roles) {
		if (reads && rr_slot_reads_hull(s)) {
			rr_slot_emit_io(a, q, slot, role, s->lo | (rr_u32)(s->hi - s->lo) << 16);
			s->pending++;
			continue;
		}
		units = s->units[role];
		if (reads && s->keeps == RR_KEEPS_LATER)
			units &= ~s->kept[role];
		rr_for_runs (run, units) {
			rr_slot_emit_io(a, q, slot, role, rr_run_sectors(a, q, slot, role, run));
			s->pending++;
		}
	}
	return 0;
}

RR_STEP void rr_slot_enter(rr_array_t *a, rr_queue_t *q, rr_u32 slot, rr_u32 phase, rr_u32 roles)
{
	/* A record must be whole before the phase makes it one. */
	rr_compiler_barrier();
	rr_store(rr_slot_at(a, q, slot)->phase, phase);
	rr_slot_issue(a, q, slot, roles);
}

/* The copies between payloads and buffers: one for each piece, or one for all. */
RR_FN int rr_slot_enter_copy(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot,
			     rr_u32 phase)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 next = s->more.head;
	rr_u32 tag = s->tag;
	rr_u32 roles = s->data_mask;
	rr_u32 role;
	rr_s32 i;

	rr_store(s->phase, phase);
	s->pending = 0;
	s->blame = tag;
	if (rr_slot_fused(a, q, s)) {
		roles = 1U << (phase == RR_PHASE_COPY_IN ? s->role : rr_lowest_bit(roles));
		next = RR_NIL;
	} else if (s->zero == RR_ZERO_ROWS) {
		/* There is nothing to make; but what comes next does not begin in here. */
		roles = 1U << rr_lowest_bit(roles);
	}
	rr_for (i, RR_DEPTH_MAX) {
		rr_for_roles (role, roles) {
			if (rr_slot_emit_copy(a, q, slot, role, tag))
				s->pending++;
		}
		if (next == RR_NIL)
			break;
		tag = rr_rider_tag(a, q, next);
		next = rr_rider_next(a, q, next);
	}
	return 0;
}

/* The flag of a job that fills a device; 0 for those that do not. */
RR_STEP rr_u64 rr_job_flag(rr_u32 kind)
{
	return kind == RR_JOB_REBUILD	? RR_STATE_REBUILD
	       : kind == RR_JOB_REPLACE ? RR_STATE_REPLACE
					: 0;
}

/* A job's cell is over; @error ends the job. */
RR_FN int rr_job_cell_done(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot,
			   rr_s32 error)
{
	rr_u64 cell = rr_slot_at(a, q, slot)->cell;
	rr_u64 done = a->job.done | 1ULL << ((cell - a->job.frontier) & (RR_JOB_WINDOW - 1));
	rr_u64 frontier = a->job.frontier;
	rr_s32 i;

	a->job.in_work--;
	q->job_look = 1;
	/* The write of a cell is no success if it put its target out. */
	if (!error && rr_job_flag(a->job.kind) && !(rr_load(a->state) & rr_job_flag(a->job.kind)))
		error = -RR_ECANCELED;
	if (error) {
		if (!a->job.error) {
			a->job.error_cell = cell;
			a->job.error = error;
		}
		return 0;
	}
	rr_for (i, RR_JOB_WINDOW) {
		if (!(done & 1))
			break;
		done >>= 1;
		frontier++;
	}
	a->job.done = done;
	rr_store(a->job.frontier, frontier);
	return 0;
}

/* The slot's rows in the newest unit are durable, or were not begun. */
RR_FN int rr_log_leave(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);

	/* The last one: what waits for the unit's place can be written. */
	if ((s->log & RR_LOG_SHARE) &&
	    rr_fetch_add(a->log_open[s->parity & (RR_MEMBERS_MAX - 1)], -1U) == 1)
		q->log_news = 1;
	s->log = 0;
	return 0;
}

RR_FN int rr_slot_finish(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot,
			 rr_s32 error)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 wake;

	rr_u32 wrote = s->phase == RR_PHASE_WRITE || s->phase == RR_PHASE_REPAIR;

	rr_slot_tell_plan(a, q, slot);
	if (s->log)
		rr_log_leave(a, q, slot);
	q->zeroing -= s->zero != 0;
	if (s->phase == (s->op == RR_OP_WRITE ? RR_PHASE_WRITE : RR_PHASE_COPY_OUT) &&
	    s->zero != RR_ZERO_ROWS)
		rr_kept_note(a, q, slot);
	else
		s->keeps = RR_KEEPS_NOTHING;
	rr_store(s->phase, RR_PHASE_FREE);
	if (s->locked) {
		s->locked = 0;
		if (wrote || s->keeps)
			rr_kept_release(a, q, slot);
		wake = rr_lock_release(a, s->lock, s->lock_mask);
		if (wake >> q->id & 1)
			q->lock_retry = 1;
		q->wake_mask |= wake & ~(1U << q->id);
	}
	if (s->op == RR_OP_WRITE && (s->more.head & s->behind.head) != RR_NIL) {
		if (!rr_slot_hand_over(a, q, slot, error, wrote))
			rr_free_push(a, q, slot);
		return 0;
	}
	rr_free_push(a, q, slot);
	if (s->op == RR_OP_JOB)
		return rr_job_cell_done(a, q, slot, error);
	rr_request_part_done(a, q, s->tag, error);
	return 0;
}

/*
 * A write's missing role while it is rebuilt: below the frontier it is a member; where
 * the job is at work it is written like one, and not read: a bad block. -1: the cell
 * has a bad block already.
 */
RR_STEP int rr_slot_missing(rr_array_t *a, rr_slot_t *s, rr_u64 state)
{
	rr_u32 missing = rr_missing_at(a, state, s->cell);

	if (missing == RR_NO_ROLE || !(state & RR_STATE_REBUILD) || s->cell >= rr_load(a->job.next))
		return missing;
	if (s->bad != RR_NO_ROLE && s->bad != missing)
		return -1;
	s->bad = missing;
	return RR_NO_ROLE;
}

/* parity ^= the written units as they are in the buffers. */
RR_FN int rr_slot_fold(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u64 parity = rr_buffer(a, q, slot, s->parity);
	rr_u32 role, run, sectors;
	rr_u64 skip;

	rr_for_roles (role, s->data_mask) {
		rr_for_runs (run, s->units[role]) {
			sectors = rr_run_sectors(a, q, slot, role, run);
			skip = (rr_u64)(sectors & 0xffff) << RR_SECTOR_SHIFT;
			sectors >>= 16;
			rr_xor(a, parity + skip, rr_buffer(a, q, slot, role) + skip, sectors);
			rr_count(q, xor_bytes, (rr_u64)sectors << RR_SECTOR_SHIFT);
		}
	}
	return 0;
}

/*
 * Where @missing is written with others, and parity is logged, they take turns (log.h):
 * those before it in the stripe, those behind it, as an entry names neighbours, and it.
 */
RR_FN int rr_log_part(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot,
		      rr_u32 missing)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 bit = 1U << (missing & (RR_MEMBERS_MAX - 1));
	rr_u32 now = 0;
	rr_u32 role;

	if (missing == RR_NO_ROLE || !(s->data_mask & bit) || !(s->data_mask & ~bit))
		return 0;
	rr_for_roles (role, s->data_mask & ~bit) {
		if (rr_data_index(&a->geometry, s->parity, role) <
		    rr_data_index(&a->geometry, s->parity, missing))
			now |= 1U << role;
	}
	if (!now)
		now = s->data_mask & ~bit;
	s->later |= s->data_mask & ~now;
	s->data_mask = now;
	return 0;
}

/*
 * Units to read by the one way and, above, by the other, where writes were gathered: two
 * blocks in rows far apart have a hull that nobody wants to read. @kept: rr_kept_roles().
 */
RR_FN int rr_slot_weigh(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot,
			rr_u32 kept, rr_u32 partial)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 hull = rr_count_bits(rr_lock_mask(a, s->lo, s->hi));
	rr_u32 units = 0;
	rr_u32 role;

	rr_for_roles (role, (s->data_mask | 1U << s->parity) & ~kept)
		units += rr_count_bits(s->units[role] & ~(s->keeps ? s->kept[role] : 0U));
	return (int)(units | hull * rr_count_bits(partial & ~(kept >> 16)) << 16);
}

/* Roles with units of which payload covers a part only, and not one end of it all. */
RR_STEP rr_u32 rr_slot_torn(rr_slot_t *s)
{
	rr_u32 torn = 0;
	rr_u32 role;

	rr_for_roles (role, s->gaps) {
		if (s->units[role] & ~s->whole[role])
			torn |= 1U << role;
	}
	return torn;
}

#define RR_NO_WAY 0x8000 /* more than any way reads */

/* Chooses how to write, from the state as it is now, and what to read; 0 or -errno. */
RR_FN int rr_slot_choose(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u64 state = rr_load(a->state);
	int absent = rr_slot_missing(a, s, state);
	rr_u32 missing = absent < 0 ? RR_NO_ROLE : absent;
	rr_u32 lost = missing != RR_NO_ROLE ? missing : s->bad;
	int unsynced = rr_unsynced_at(a, state, s->cell);
	rr_u32 lost_bit = lost != RR_NO_ROLE ? 1U << lost : 0;
	rr_u32 missing_bit = missing != RR_NO_ROLE ? 1U << missing : 0;
	rr_u32 parity_bit = 1U << s->parity;
	rr_u32 partial, rmw, rcw, reads, kept;

	s->epoch = rr_state_epoch(state);
	/* Not all of it was true at one moment (rr_missing_at()): another plan will be made. */
	if (rr_load(a->state) != state)
		s->epoch--;
	s->lost = lost;
	if (s->log)
		rr_log_leave(a, q, slot);
	if (a->log_roles)
		rr_log_part(a, q, slot, rr_state_missing(state));
	if ((state & RR_STATE_BROKEN) || absent < 0 ||
	    (missing != RR_NO_ROLE && missing != s->parity && s->bad != RR_NO_ROLE &&
	     s->bad != missing))
		return -RR_EIO;

	partial = rr_slot_partial(a, s);
	s->write_mask = (s->data_mask | parity_bit) & ~missing_bit;
	kept = s->keeps ? (rr_u32)rr_kept_roles(a, q, slot, partial) : 0;
	if (s->more.head == RR_NIL) {
		rmw = rr_count_bits((s->data_mask | parity_bit) & ~kept);
		rcw = rr_count_bits(partial & ~(kept >> 16));
	} else {
		rmw = rr_slot_weigh(a, q, slot, kept, partial);
		rcw = rmw >> 16;
		rmw &= 0xffff;
	}
	if (unsynced || ((s->data_mask | parity_bit) & lost_bit))
		rmw = RR_NO_WAY;
	if (partial & lost_bit)
		rcw = RR_NO_WAY;
	if (missing_bit == parity_bit) {
		s->plan = RR_PLAN_PAYLOAD;
		/* Parity may have failed since the lock was taken: what is kept is not read. */
		reads = rr_slot_torn(s) & ~kept;
		rr_count(q, payload_cells, 1);
	} else if (rmw < rcw) {
		s->plan = RR_PLAN_RMW;
		reads = (s->data_mask | parity_bit) & ~kept;
		rr_count(q, rmw_cells, 1);
	} else if (rcw < RR_NO_WAY) {
		s->plan = RR_PLAN_RCW;
		reads = partial & ~(kept >> 16);
		if (partial)
			rr_count(q, rcw_cells, 1);
		else
			rr_count(q, full_cells, 1);
	} else if (unsynced) {
		/* The lost block cannot be had from a parity that says nothing. */
		return -RR_EIO;
	} else {
		s->plan = RR_PLAN_RECON;
		reads = rr_all_roles(a) & ~lost_bit;
		rr_count(q, recon_cells, 1);
	}
	/* A bad block of an active member is rewritten whole while we have it. */
	if (s->bad != RR_NO_ROLE && !missing_bit && s->plan == RR_PLAN_RECON)
		s->write_mask |= lost_bit;
	s->read_mask = reads;
	q->kept_cells +=
		kept && reads != (s->plan == RR_PLAN_RMW ? s->data_mask | parity_bit : partial);
	return 0;
}

/* Is all of the rows zeros, or a part? Apart, for the program's stack. */
RR_FN int rr_slot_plan_zero(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);

	s->zero = rr_slot_partial(a, s) ? RR_ZERO_PAYLOAD : RR_ZERO_ROWS;
	return 0;
}

/* Plans a write, and starts its reads. */
RR_FN int rr_slot_plan_write(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_s32 error = rr_slot_choose(a, q, slot);

	if (error)
		return rr_slot_finish(a, q, slot, error);
	if (s->zero)
		rr_slot_plan_zero(a, q, slot);
	if (s->read_mask) {
		rr_slot_enter(a, q, slot, RR_PHASE_READ, s->read_mask);
		rr_count(q, slot_reads, s->pending);
		return 0;
	}
	if (rr_log_wants(a, s)) {
		rr_log_enter(a, q, slot);
		return 0;
	}
	/* What is modified without a read is kept. */
	if (s->plan == RR_PLAN_RMW && !rr_slot_fused(a, q, s))
		rr_slot_fold(a, q, slot);
	return rr_slot_enter_copy(a, q, slot, RR_PHASE_COPY_IN);
}

/*
 * The role that a read has to have rebuilt, or RR_NO_ROLE. While it waited for its lock the
 * one that was missing may have come back, and another one may have failed.
 */
RR_STEP rr_u32 rr_slot_rebuilds(rr_array_t *a, rr_queue_t *q, rr_slot_t *s, rr_u32 missing)
{
	if (s->bad != RR_NO_ROLE)
		return s->bad;
	if (missing != RR_NO_ROLE)
		return s->data_mask >> (missing & (RR_MEMBERS_MAX - 1)) & 1 ? missing : RR_NO_ROLE;
	return rr_request_at(a, q, s->tag)->flags & RR_REQ_ROWS ? RR_NO_ROLE : s->role;
}

/* A read that has its rows locked: of what it wants, or of every member but the one rebuilt. */
RR_FN int rr_slot_plan_read(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u64 state = rr_load(a->state);
	rr_u32 missing = rr_missing_at(a, state, s->cell);
	rr_u32 lost = rr_slot_rebuilds(a, q, s, missing);
	rr_u32 kept = 0;

	s->epoch = rr_state_epoch(state);
	s->plan = RR_PLAN_READ;
	s->read_mask = s->data_mask;
	if (lost != RR_NO_ROLE) {
		/* A broken array has rows of which only a part was written. */
		if ((state & RR_STATE_BROKEN) || rr_unsynced_at(a, state, s->cell) ||
		    (missing != RR_NO_ROLE && missing != lost))
			return rr_slot_finish(a, q, slot, -RR_EIO);
		s->role = lost;
		s->plan = RR_PLAN_REBUILD;
		s->read_mask = rr_all_roles(a) & ~(1U << lost);
		rr_count(q, rebuilt_reads, 1);
	}
	if (s->keeps)
		kept = rr_kept_rows(a, q, slot, s->read_mask);
	/* Who rebuilds goes on when a read is done. */
	if (lost != RR_NO_ROLE && kept == s->read_mask)
		kept &= kept - 1;
	q->kept_cells += kept != 0;
	s->read_mask &= ~kept;
	if (!s->read_mask)
		return rr_slot_enter_copy(a, q, slot, RR_PHASE_COPY_OUT);
	rr_slot_enter(a, q, slot, RR_PHASE_READ, s->read_mask);
	rr_count(q, slot_reads, s->pending);
	return 0;
}

/* Who asks for a lock, and whether it has been patient long enough. */
RR_STEP rr_u32 rr_slot_claimant(rr_array_t *a, rr_queue_t *q, rr_u32 slot)
{
	rr_u32 who = rr_slot_who(a, q, slot);

	return rr_slot_at(a, q, slot)->lock_tries < RR_LOCK_PATIENCE ? who : who | RR_LOCK_CLAIM;
}

/* Takes the row lock, or waits for it in the queue's list. */
RR_FN int rr_slot_lock(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);

	if (!rr_lock_try(a, q->id, s->lock, s->lock_mask, rr_slot_claimant(a, q, slot))) {
		if (!s->lock_tries)
			rr_count(q, lock_waits, 1);
		if (s->lock_tries < RR_LOCK_PATIENCE)
			s->lock_tries++;
		rr_store(s->phase, RR_PHASE_LOCK);
		rr_slot_push(a, q, &q->lock_wait, slot);
		q->tick_wanted = 1;
		return 0;
	}
	s->locked = 1;
	if (s->apart)
		s->apart--;
	else if (s->behind.head != RR_NIL)
		rr_slot_take_along(a, q, slot);
	if (s->op == RR_OP_JOB) {
		rr_job_plan(a, q, slot);
		return 1;
	}
	rr_slot_borrow(a, q, slot, rr_kept_locked(a, q, slot));
	if (s->op == RR_OP_WRITE)
		rr_slot_plan_write(a, q, slot);
	else
		rr_slot_plan_read(a, q, slot);
	return 1;
}

/* Takes the lowest role out of *roles; where its cell's hull begins in the arena. */
#define rr_slot_take(roles)                                                                        \
	({                                                                                         \
		rr_u32 role_ = rr_lowest_bit(roles);                                               \
		(roles) &= (roles) - 1;                                                            \
		base + ((rr_u64)role_ << a->cell_shift);                                           \
	})

/* dst = XOR of the cells of @roles (two at least) over the hull; dst is not among them. */
RR_FN int rr_slot_xor(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot,
		      rr_u32 dst, rr_u32 roles)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u64 base = rr_buffer(a, q, slot, 0) + ((rr_u64)s->lo << RR_SECTOR_SHIFT);
	rr_u64 to = base + ((rr_u64)dst << a->cell_shift);
	rr_u32 sectors = s->hi - s->lo;
	rr_u64 x, y;
	rr_s32 i;

	rr_count(q, xor_bytes, (rr_u64)rr_count_bits(roles) * sectors << RR_SECTOR_SHIFT);
	x = rr_slot_take(roles);
	y = rr_slot_take(roles);
	/* What is left after this is even, for passes of two. */
	if (rr_count_bits(roles) & 1) {
		rr_u64 z = rr_slot_take(roles);

		rr_xor_set3(a, to, x | y << 32, z, sectors);
	} else {
		rr_xor_set2(a, to, x, y, sectors);
	}
	rr_for (i, RR_MEMBERS_MAX / 2) {
		if (!roles)
			break;
		x = rr_slot_take(roles);
		y = rr_slot_take(roles);
		rr_xor2(a, to, x, y, sectors);
	}
	return 0;
}

/* Before the payload replaces what was read. */
RR_STEP void rr_slot_use_old(rr_array_t *a, rr_queue_t *q, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);

	if (s->plan == RR_PLAN_RMW)
		rr_slot_fold(a, q, slot);
	else if (s->plan == RR_PLAN_RECON)
		rr_slot_xor(a, q, slot, s->lost, rr_all_roles(a) & ~(1U << s->lost));
}

/* Parity, from the buffers with the payload in them. */
RR_STEP void rr_slot_use_new(rr_array_t *a, rr_queue_t *q, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);

	if (s->plan == RR_PLAN_RMW || (s->log & RR_LOG_FOLDS))
		rr_slot_fold(a, q, slot);
	else if (s->plan != RR_PLAN_PAYLOAD)
		rr_slot_xor(a, q, slot, s->parity, rr_all_roles(a) & ~(1U << s->parity));
}

/* All reads of a phase have come back. */
RR_FN int rr_slot_read_done(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);

	if (s->error)
		return rr_slot_finish(a, q, slot, s->error);
	if (s->plan == RR_PLAN_READ) {
		if (s->bad == RR_NO_ROLE)
			return rr_slot_enter_copy(a, q, slot, RR_PHASE_COPY_OUT);
		return s->locked ? rr_slot_plan_read(a, q, slot) : rr_slot_lock(a, q, slot);
	}
	if (s->plan == RR_PLAN_REBUILD) {
		if (!rr_slot_fused(a, q, s))
			rr_slot_xor(a, q, slot, s->role, rr_all_roles(a) & ~(1U << s->role));
		return rr_slot_enter_copy(a, q, slot, RR_PHASE_COPY_OUT);
	}
	if (s->bad != RR_NO_ROLE && s->lost != s->bad) {
		s->keeps = RR_KEEPS_NOTHING;
		return rr_slot_plan_write(a, q, slot);
	}
	if (rr_log_wants(a, s)) {
		rr_log_enter(a, q, slot);
		return 0;
	}
	if (!rr_slot_fused(a, q, s))
		rr_slot_use_old(a, q, slot);
	return rr_slot_enter_copy(a, q, slot, RR_PHASE_COPY_IN);
}

/*
 * What the replaced member gets, its replacement gets as well; where the job has not
 * begun it is not there, as a rebuild's target (job.h).
 */
RR_STEP void rr_slot_write_replacement(rr_array_t *a, rr_slot_t *s)
{
	rr_u32 role = a->replaced & (RR_MEMBERS_MAX - 1);
	rr_u32 index = a->geometry.members & (RR_MEMBERS_MAX - 1);

	if (!(s->write_mask >> role & 1) || s->cell >= rr_load(a->job.next))
		return;
	s->from[index] = s->from[role];
	s->to[index] = s->to[role];
	s->units[index] = s->units[role];
	s->write_mask |= 1U << index;
}

/* The slot's block of @role could not be read, and is written again: md's corrected reads. */
RR_STEP void rr_slot_corrects(rr_array_t *a, rr_slot_t *s, rr_u32 role)
{
	(void)rr_fetch_add(a->members[role & (RR_MEMBERS_MAX - 1)].corrected,
			   (rr_u32)(s->hi - s->lo));
}

/* The whole hull of @role is written. */
RR_STEP void rr_slot_all_rows(rr_array_t *a, rr_slot_t *s, rr_u32 role)
{
	s->from[role] = s->lo;
	s->to[role] = s->hi;
	s->units[role] = rr_lock_mask(a, s->lo, s->hi);
}

/* The payload is in the buffers: parity, then the member writes. */
RR_FN int rr_slot_copied_in(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u64 state = rr_load(a->state);
	rr_u32 lost = s->lost & (RR_MEMBERS_MAX - 1);

	if (s->error || s->spoilt)
		return rr_slot_finish(a, q, slot, s->error);
	if (rr_state_epoch(state) != s->epoch || (state & RR_STATE_BROKEN)) {
		rr_count(q, replans, 1);
		/* The payload lies over it. */
		s->keeps = RR_KEEPS_NOTHING;
		return rr_slot_plan_write(a, q, slot);
	}
	if (s->zero == RR_ZERO_ROWS)
		q->zeroed_cells++;
	else if (!rr_slot_fused(a, q, s))
		rr_slot_use_new(a, q, slot);
	if (s->plan == RR_PLAN_RECON && (s->write_mask >> lost & 1)) {
		rr_slot_all_rows(a, s, lost);
		rr_slot_corrects(a, s, lost);
	}
	if (state & RR_STATE_REPLACE)
		rr_slot_write_replacement(a, s);
	rr_count(q, copied_bytes,
		 (rr_u64)rr_count_bits(s->data_mask) * (s->hi - s->lo) << RR_SECTOR_SHIFT);
	rr_slot_enter(a, q, slot, RR_PHASE_WRITE, s->write_mask);
	rr_count(q, slot_writes, s->pending);
	return 0;
}

/*
 * Some are written: now the others, which are planned as if they were all. What the slot
 * was is no record any more, and who knows the cell learns that it was written.
 */
RR_FN int rr_slot_go_on(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 parity = s->parity & (RR_MEMBERS_MAX - 1);
	rr_u32 role;

	rr_store(s->phase, RR_PHASE_LOCK);
	rr_compiler_barrier();
	rr_kept_ends(s);
	rr_kept_release(a, q, slot);
	s->data_mask = s->later;
	s->later = 0;
	s->lo = (1U << (a->cell_shift - RR_SECTOR_SHIFT));
	s->hi = 0;
	s->units[parity] = 0;
	rr_for_roles (role, s->data_mask) {
		s->units[parity] |= s->units[role];
		if (s->from[role] < s->lo)
			s->lo = s->from[role];
		if (s->to[role] > s->hi)
			s->hi = s->to[role];
	}
	s->from[parity] = s->lo;
	s->to[parity] = s->hi;
	return rr_slot_plan_write(a, q, slot);
}

RR_STEP int rr_slot_next(rr_array_t *a, rr_queue_t *q, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 role = s->role & (RR_MEMBERS_MAX - 1);

	switch (s->phase) {
	case RR_PHASE_READ:
		if (s->op == RR_OP_JOB)
			return rr_job_read_done(a, q, slot);
		return rr_slot_read_done(a, q, slot);
	case RR_PHASE_COPY_IN:
		return rr_slot_copied_in(a, q, slot);
	case RR_PHASE_WRITE:
		if (s->later && !s->error)
			return rr_slot_go_on(a, q, slot);
		break;
	case RR_PHASE_COPY_OUT:
		/* Only a rebuild holds the lock that a rewrite needs. */
		if (!s->error && s->plan == RR_PLAN_REBUILD && !(rr_load(a->state) >> role & 1)) {
			rr_count(q, repaired, 1);
			rr_count(q, slot_writes, 1);
			rr_slot_corrects(a, s, role);
			rr_slot_enter(a, q, slot, RR_PHASE_REPAIR, 1U << role);
			return 0;
		}
		break;
	}
	return rr_slot_finish(a, q, slot, s->error);
}

/* A member write failed for good: the row stands without that member. */
RR_STEP void rr_slot_write_failed(rr_array_t *a, rr_queue_t *q, rr_slot_t *s, rr_u32 role,
				  rr_s32 res)
{
	rr_count(q, write_errors, 1);
	rr_fail_from(a, q, role, res);
	/* Not the member that is out, but a second one: the row is lost. */
	if (s->phase == RR_PHASE_WRITE && role < a->geometry.members &&
	    !(rr_load(a->state) >> role & 1))
		s->error = -RR_EIO;
}

RR_STEP void rr_slot_read_failed(rr_queue_t *q, rr_slot_t *s, rr_u32 role)
{
	rr_count(q, read_errors, 1);
	if (s->plan == RR_PLAN_REBUILD || s->lost != RR_NO_ROLE ||
	    (s->bad != RR_NO_ROLE && s->bad != role))
		s->error = -RR_EIO;
	else
		s->bad = role;
}

/* A copy failed: of several requests it is the error of one. */
RR_STEP void rr_slot_copy_failed(rr_array_t *a, rr_queue_t *q, rr_slot_t *s, rr_u64 token)
{
	rr_u32 tag = rr_slot_fused(a, q, s) ? s->blame : rr_token_sector(token);

	if (s->more.head == RR_NIL || tag == RR_NIL) {
		s->error = -RR_EIO;
		return;
	}
	s->spoilt = 1;
	rr_request_at(a, q, tag)->error = -RR_EIO;
}

/* 1: the I/O is issued again at the next tick. 0: too many wait for it. */
RR_STEP int rr_retry_push(rr_queue_t *q, rr_u64 token)
{
	rr_u32 n = q->retry_count;

	if (n >= RR_RETRY_RING)
		return 0;
	q->retry[n & (RR_RETRY_RING - 1)] = token;
	q->retry_count = n + 1;
	q->tick_wanted = 1;
	return 1;
}

RR_STEP int rr_retry_later(rr_queue_t *q, rr_u64 token)
{
	rr_count(q, retries, 1);
	return rr_retry_push(q, token);
}

/* The token is a slot's read of a member that is out: it must not be issued again. */
RR_STEP int rr_slot_reads_lost(rr_array_t *a, rr_queue_t *q, rr_u64 token)
{
	return rr_slot_at(a, q, rr_token_index(token))->phase == RR_PHASE_READ &&
	       (rr_load(a->state) >> rr_token_role(token) & 1);
}

/* A phase on members, not on the client's pages. */
RR_STEP int rr_slot_is_io(rr_u32 phase)
{
	return phase == RR_PHASE_READ || phase == RR_PHASE_WRITE || phase == RR_PHASE_REPAIR;
}

RR_FN int rr_slot_complete(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u64 token,
			   rr_s32 res)
{
	rr_u32 slot = rr_token_index(token);
	rr_u32 role = rr_token_role(token);
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 phase = s->phase;
	rr_s32 length = (rr_s32)(rr_token_sectors(token) << RR_SECTOR_SHIFT);
	int judged;

	if (res == RR_RESULT_WHOLE)
		res = length;
	judged = res != length && rr_slot_is_io(phase) && (!res || !rr_transient(res)) &&
		 rr_suspect(a, q, role, res);
	if (judged || (res != length && rr_transient(res) && s->retries < rr_retries_max() &&
		       !rr_slot_reads_lost(a, q, token))) {
		/* Patience counts ticks: without room to wait for one it costs none. */
		if (rr_retry_later(q, judged ? token | RR_TOKEN_SUSPECT : token))
			s->retries += judged ? 0 : rr_patience(res);
		else
			rr_slot_emit(a, q, token);
		return 0;
	}
	if (phase == RR_PHASE_WRITE || phase == RR_PHASE_REPAIR) {
		rr_store(q->written[role], q->written[role] + 1);
		if (res != length)
			rr_slot_write_failed(a, q, s, role, res < 0 ? res : -RR_EIO);
	} else if (res != length) {
		if (phase == RR_PHASE_READ)
			rr_slot_read_failed(q, s, role);
		else
			rr_slot_copy_failed(a, q, s, token);
	}
	if (--s->pending == 0)
		rr_slot_next(a, q, slot);
	return 0;
}

#endif /* RINGRAID_ENGINE_SLOT_H */
