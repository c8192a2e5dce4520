/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What another slot keeps is copied, not read from the members.
 *
 * A client's thread is moved from CPU to CPU, and with each move its writes come by
 * another queue: a queue's own slots (kept.h) are of no use then. With queue threads on
 * their CPUs that is the rule, even for one thread: who wakes it has its CPU at that moment.
 *
 *   locked    our units; a unit's holder is slot X, of any queue
 *   looked    at X's life, cell, epoch and what it keeps: is it of this cell, of now?
 *   copied    units that we have locked, so X does not write them; but X may be taken for
 *             something else at any moment
 *   looked    at X's life again: the same, so what was copied is what X kept
 *
 * Else what was copied is forgotten, and read from the members. From the release on we are
 * the holder. So that X's other roles are not lost to those who come after us they are
 * copied too, if that is little; and nothing is copied that would not have been read.
 *
 * Cost: nothing but a comparison where there is no other holder. 4 KiB of a role are
 * copied in a fraction of a microsecond, where a member takes tens.
 */
#ifndef RINGRAID_ENGINE_BORROW_H
#define RINGRAID_ENGINE_BORROW_H

#include "gather.h"
#include "xor.h"

#define RR_BORROWED_MAX 32 /* units of all roles that are copied for others' sake */

/* Data roles whose old content a reconstruct-write needs. */
RR_STEP rr_u32 rr_slot_partial(rr_array_t *a, rr_slot_t *s)
{
	rr_u32 partial = rr_all_roles(a) & ~(1U << s->parity);
	rr_u32 hull = rr_lock_mask(a, s->lo, s->hi);
	rr_u32 role;

	rr_for_roles (role, s->data_mask) {
		if (!(hull & ~s->whole[role]) ||
		    (s->from[role] == s->lo && s->to[role] == s->hi && !(s->gaps >> role & 1)))
			partial &= ~(1U << role);
	}
	return partial;
}

/* Roles worth having of @units of another slot: those of the way that reads least, or all. */
RR_STEP rr_u32 rr_borrow_roles(rr_array_t *a, rr_slot_t *s, rr_u32 units)
{
	rr_u32 partial = rr_slot_partial(a, s);
	rr_u32 modified = s->data_mask | 1U << s->parity;

	/* What the rows' other chunks will be asked for as the stream goes on. */
	if (s->op == RR_OP_READ)
		return rr_all_roles(a);
	if (!partial)
		return 0;
	if (rr_count_bits(units) * a->geometry.members <= RR_BORROWED_MAX)
		return rr_all_roles(a);
	return rr_count_bits(partial) < rr_count_bits(modified) ? partial : modified;
}

/* Copies a @run of units of the cell at @from in the arena to that at @to. */
RR_FN int rr_borrow_run(rr_array_t *a RR_ARG_ARENA, rr_u64 to, rr_u64 from, rr_u32 run)
{
	rr_u32 shift = a->unit_shift;
	rr_u64 skip = (rr_u64)rr_lowest_bit(run) << shift;

	rr_copy(a, to + skip, from + skip, rr_count_bits(run) << (shift - RR_SECTOR_SHIFT));
	return 0;
}

/* The lowest holder of @units, and of which of them it is, above. */
RR_FN int rr_borrow_holder(rr_array_t *a RR_ARG_ARENA, rr_u32 lock, rr_u32 units)
{
	rr_lock_t *l = rr_lock_at(a, lock);
	rr_u64 __arena *all = (rr_u64 __arena *)l->holder;
	rr_u32 who = 0;
	rr_u32 held = 0;
	rr_u32 unit, holder;

	/* Others' units may change meanwhile, ours do not. */
	if (!(rr_load(all[0]) | rr_load(all[1]) | rr_load(all[2]) | rr_load(all[3])))
		return 0;
	rr_for_roles (unit, units) {
		holder = rr_load(l->holder[unit]);
		if (!who)
			who = holder;
		if (holder && holder == who)
			held |= 1U << unit;
	}
	return (int)(who | held << 16);
}

/* The slot has its lock, and of @units nothing is kept: takes over what their holder keeps. */
RR_FN int rr_slot_borrow(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot,
			 rr_u32 units)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 found = units ? (rr_u32)rr_borrow_holder(a, s->lock, units) : 0;
	/* Slots and buffers are numbered on from queue to queue. */
	rr_queue_t *first = rr_queue_at(a, 0);
	rr_u32 other = (found & 0xffff) - 1;
	rr_slot_t *o = rr_slot_at(a, first, other);
	rr_u32 roles, role, run, life, has;

	if (!found || other >= a->queues * a->slots || o == s)
		return 0;
	units = found >> 16;
	life = rr_load_fenced(o->life);
	if (rr_load(o->cell) != s->cell || rr_load(o->keeps) == RR_KEEPS_NOTHING ||
	    rr_load(o->epoch) != rr_state_epoch(rr_load(a->state)))
		return 0;
	if (s->keeps == RR_KEEPS_NOTHING)
		rr_kept_forget(a, s, 0xffff);
	roles = rr_borrow_roles(a, s, units);
	found = 0;
	rr_for_roles (role, roles) {
		has = rr_load(o->kept[role]) & units;
		if (roles == (s->data_mask | 1U << s->parity))
			has &= s->units[role];
		rr_for_runs (run, has)
			rr_borrow_run(a, rr_buffer(a, q, slot, role),
				      rr_buffer(a, first, other, role), run);
		s->kept[role] |= has;
		found |= has;
	}
	if (rr_load_fenced(o->life) != life) {
		rr_kept_forget(a, s, units);
		return 0;
	}
	s->keeps = RR_KEEPS;
	q->borrowed_cells += found != 0;
	return 1;
}

#endif /* RINGRAID_ENGINE_BORROW_H */
