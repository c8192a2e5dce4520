/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A job: the array's own work on its rows, cell by cell, while clients are served.
 *
 *   check     READ all                     -> compare; what cannot be read is rewritten
 *   repair    READ all                     -> where it is wrong, WRITE parity
 *   resync    as repair, of rows whose parity means nothing yet
 *   rebuild   READ all but what is missing -> XOR -> WRITE it
 *   replace   READ the member; where it cannot be read, as rebuild -> WRITE the replacement
 *
 * The control plane writes what is to be done into rr_array.job, puts the state flag
 * of a rebuild or a resync into rr_array.state, and sends a message. Queue 0 does the
 * work, in slots of its own: each cell takes the row lock of the whole cell, so it
 * meets no row in flight. When nothing is in work and nothing more is begun, `ended`
 * says so and the control plane is told.
 *
 * Cells end in any order. `frontier` is the first one that is not done, `next` the
 * first that was not begun, and `done` the mask of those between that are:
 *
 *      done          in work or done          not begun
 *   ------------|--------------------------|-------------->
 *            frontier      (< 64)         next
 *
 * What plans make of it, in rr_slot_plan_write() and below. A plan is made under the
 * row lock, and `next` is stored before a cell's lock is taken, so who sees a cell as
 * not begun ends before the job reads it:
 *
 *                  rebuild: the missing role is     resync: parity is
 *   done           a member                         right
 *   between        written, and not read            not read: no RMW, nothing rebuilt
 *   not begun      not there                        not read
 *
 * The replacement of a member is written, and never read: as the missing role of a
 * rebuild, but the member is there, and all that says above of being read is its affair.
 *
 * Clients first: a job takes free slots only, leaves a quarter of them, and none
 * while a request waits for one; but one cell may always be in work, so it ends:
 * where it finds no slot for that, it has the next one, before requests that wait.
 * `at_once` and `limit` are the control plane's: how deep, and how fast.
 *
 * Errors. A check goes on after a cell of which two blocks cannot be read. A rebuild,
 * a resync and a replacement do not: what they would write is made up. They stop there, with the
 * frontier on that cell at the latest.
 *
 * Cost: N member reads a cell, and one XOR over them; one write where one is due. Of a
 * replacement: a read and a write.
 */
#ifndef RINGRAID_ENGINE_JOB_H
#define RINGRAID_ENGINE_JOB_H

#include "slot.h"

/* rr_queue.job_look: before the requests that wait for a slot. */
#define RR_JOB_LOOK_FIRST 2

RR_STEP rr_u32 rr_cell_sectors(rr_array_t *a)
{
	return 1U << (a->cell_shift - RR_SECTOR_SHIFT);
}

/* Under the row lock: what to read. */
RR_FN int rr_job_plan(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u64 state = rr_load(a->state);
	rr_u32 missing = rr_state_missing(state);
	rr_u32 reads = rr_all_roles(a);
	rr_u64 flag = rr_job_flag(a->job.kind);
	int rebuild = a->job.kind == RR_JOB_REBUILD;

	s->epoch = rr_state_epoch(state);
	if ((state & RR_STATE_BROKEN) || rebuild != (missing != RR_NO_ROLE) ||
	    (state & flag) != flag)
		return rr_slot_finish(a, q, slot, -RR_ECANCELED);
	s->plan = RR_PLAN_RCW;
	if (a->job.kind == RR_JOB_REPLACE)
		reads = 1U << (a->replaced & (RR_MEMBERS_MAX - 1));
	if (rebuild) {
		s->plan = RR_PLAN_REBUILD;
		s->role = missing;
		reads &= ~(1U << missing);
	}
	s->read_mask = reads;
	rr_count(q, slot_reads, rr_count_bits(reads));
	rr_slot_enter(a, q, slot, RR_PHASE_READ, reads);
	return 0;
}

/* The cell's blocks of @roles, which may name the replacement, are written. */
RR_STEP void rr_job_write_roles(rr_array_t *a, rr_queue_t *q, rr_u32 slot, rr_u32 roles)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 role;

	s->write_mask = roles;
	rr_for_roles (role, roles)
		rr_slot_all_rows(a, s, role);
	rr_count(q, slot_writes, rr_count_bits(roles));
	/* As ever where parity is written. */
	if (a->log_roles & roles & 1U << s->parity)
		rr_log_enter(a, q, slot);
	else
		rr_slot_enter(a, q, slot, RR_PHASE_WRITE, roles);
}

/* The cell's block of @role is computed from the others, and written. */
RR_FN int rr_job_write(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot,
		       rr_u32 role)
{
	rr_u32 r = role & (RR_MEMBERS_MAX - 1);
	rr_u32 also = a->job.kind == RR_JOB_REPLACE ? rr_replacement_bit(a->geometry.members) : 0;

	rr_slot_xor(a, q, slot, r, rr_all_roles(a) & ~(1U << r));
	rr_job_write_roles(a, q, slot, 1U << r | also);
	return 0;
}

/* As rr_job_write(), of a block that could not be read. */
RR_STEP int rr_job_mend(rr_array_t *a, rr_queue_t *q, rr_u32 slot, rr_u32 role)
{
	a->job.mended[role & (RR_MEMBERS_MAX - 1)]++;
	return rr_job_write(a, q, slot, role);
}

/* The replaced member was read, or could not be: then the others say what it held. */
RR_FN int rr_job_replace(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 role = a->replaced & (RR_MEMBERS_MAX - 1);

	if (s->bad == RR_NO_ROLE) {
		rr_job_write_roles(a, q, slot, rr_replacement_bit(a->geometry.members));
		return 0;
	}
	s->plan = RR_PLAN_REBUILD;
	s->read_mask = rr_all_roles(a) & ~(1U << role);
	rr_count(q, slot_reads, a->geometry.members - 1);
	rr_slot_enter(a, q, slot, RR_PHASE_READ, s->read_mask);
	return 0;
}

/* @rows of the slot's cell have a parity that is not that of their data. */
RR_FN int rr_job_note(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot,
		      rr_u32 rows)
{
	rr_u64 first = rr_slot_at(a, q, slot)->cell << (a->cell_shift - 12);
	rr_s32 i;

	rr_for (i, 16) {
		if (!(rows >> (i & 31) & 1))
			continue;
		if (a->job.wrong_rows < RR_JOB_NOTES)
			a->job.wrong[a->job.wrong_rows & (RR_JOB_NOTES - 1)] = first + i;
		a->job.wrong_rows++;
	}
	return 0;
}

/* Two blocks of a cell cannot be read, or one that cannot be computed. */
RR_STEP int rr_job_unreadable(rr_array_t *a, rr_queue_t *q, rr_u32 slot)
{
	rr_u32 kind = a->job.kind;

	a->job.unreadable_cells++;
	return rr_slot_finish(a, q, slot,
			      kind == RR_JOB_CHECK || kind == RR_JOB_REPAIR ? 0 : -RR_EIO);
}

/* All blocks of the cell are in its buffers: is parity that of the data? */
RR_STEP int rr_job_compare(rr_array_t *a, rr_queue_t *q, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 data = rr_all_roles(a) & ~(1U << s->parity);
	rr_u32 role, rows;

	rr_for_roles (role, data)
		rr_slot_all_rows(a, s, role);
	s->data_mask = data;
	rr_slot_fold(a, q, slot);
	rows = rr_nonzero_rows(a, rr_buffer(a, q, slot, s->parity), s->hi);
	if (!rows)
		return rr_slot_finish(a, q, slot, 0);
	rr_job_note(a, q, slot, rows);
	if (a->job.kind == RR_JOB_CHECK)
		return rr_slot_finish(a, q, slot, 0);
	return rr_job_write(a, q, slot, s->parity);
}

/* The cell's reads are back. */
RR_FN int rr_job_read_done(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 kind = a->job.kind;

	/* A member failed meanwhile: not what the plan was made for. */
	if (rr_state_epoch(rr_load(a->state)) != s->epoch)
		return rr_slot_finish(a, q, slot, -RR_ECANCELED);
	if (s->error)
		return rr_job_unreadable(a, q, slot);
	if (kind == RR_JOB_REBUILD)
		return rr_job_write(a, q, slot, s->role);
	if (kind == RR_JOB_REPLACE) {
		/* From here, and not below: the program's stack ends with a cell's write. */
		if (s->plan == RR_PLAN_REBUILD)
			return rr_job_mend(a, q, slot, a->replaced);
		return rr_job_replace(a, q, slot);
	}
	if (s->bad == RR_NO_ROLE)
		return rr_job_compare(a, q, slot);
	/* Data that parity was not computed from cannot be computed from it. */
	if (kind == RR_JOB_RESYNC && s->bad != s->parity)
		return rr_job_unreadable(a, q, slot);
	return rr_job_mend(a, q, slot, s->bad);
}

/* Takes a slot for the next cell. The caller knows that one is free. */
RR_FN int rr_job_begin(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA)
{
	rr_u32 slot = q->free_slot;
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u64 cell = a->job.next;
	rr_u64 stripe = cell >> (a->geometry.chunk_shift + RR_SECTOR_SHIFT - a->cell_shift);

	rr_slot_new(a, q, RR_OP_JOB, 0, slot);
	s->role = 0;
	s->fua = 0;
	s->cell = cell;
	s->parity = rr_parity_member(&a->geometry, stripe);
	s->lo = 0;
	s->hi = rr_cell_sectors(a);
	s->data_mask = 0;
	s->lock = rr_lock_index(cell);
	s->lock_mask = rr_lock_mask(a, 0, s->hi);
	a->job.in_work++;
	/* Before the lock: see above. */
	rr_store(a->job.next, cell + 1);
	rr_slot_lock(a, q, slot);
	return 0;
}

/* May another cell be begun now? */
RR_STEP int rr_job_may_begin(rr_array_t *a, rr_queue_t *q)
{
	rr_u64 next = a->job.next;

	if (rr_load(a->job.halt) || a->job.error || rr_load(a->park) || q->gone ||
	    next >= a->job.end || next >= rr_load(a->job.limit) || q->free_slot == RR_NIL ||
	    next - a->job.frontier >= RR_JOB_WINDOW)
		return 0;
	if (!a->job.in_work)
		return 1;
	return a->job.in_work < rr_load(a->job.at_once) && q->slot_wait.head == RR_NIL &&
	       q->free_slots > a->slots / 4;
}

/* Begins what cells it may, and says when it is over. */
RR_FN int rr_job_go_on(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA)
{
	rr_s32 i;

	q->job_look = 0;
	if (q->id || rr_load(a->job.kind) == RR_JOB_NONE || rr_load(a->job.ended))
		return 0;
	rr_for (i, RR_JOB_WINDOW) {
		if (!rr_job_may_begin(a, q))
			break;
		rr_job_begin(a, q);
	}
	if (!a->job.in_work &&
	    (a->job.next >= a->job.end || rr_load(a->job.halt) || a->job.error || q->gone)) {
		rr_store(a->job.ended, 1);
		q->notify = 1;
	} else if (!a->job.in_work && q->free_slot == RR_NIL) {
		/* The clients have them all: the next one is the job's (rr_settle_slowly()). */
		q->job_look = RR_JOB_LOOK_FIRST;
	}
	return 0;
}

#endif /* RINGRAID_ENGINE_JOB_H */
