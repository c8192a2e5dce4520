/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rows that are still in memory are not read again.
 *
 * A slot that has written keeps its buffers as they are until another operation needs
 * them: kept[role] names the units (1/16 cell) of each role's buffer that are what the
 * member holds. The next write to that cell from this queue takes that very slot, and
 * reads only what is not there. So the second chunk of a stripe finds the parity that the
 * first has left, and a journal that writes one block again finds all that it needs.
 *
 * Free slots are a list with two ends: slots with nothing kept are taken first, then the
 * one that was used longest ago. kept_at[], by a hash of the cell, leads to the last slot
 * that wrote a cell; what is found there is compared.
 *
 * When it is true. A row lock has, for each unit, the slot that wrote it last and keeps
 * it, its holder. Only who has the unit locked looks at that or changes it.
 *
 *   locked        all that it takes: of units whose holder is another one nothing is
 *                 kept here any more. It may be had from there (borrow.h)
 *   planned       from here on payload is copied over old data: what was kept says
 *                 nothing before the write is through
 *   written       what was kept before, and what was written and read now
 *   released      the slot is the holder of the units that it wrote, and those between them
 *                 have the one that they had; or nobody is, if it does not keep what it
 *                 wrote, as a job
 *
 * And nothing is kept, nor found, but in a whole array (no flag and no missing role), in
 * the epoch in which it was noted: not after a failure, an error, a bad block, a rebuild.
 * A successor begins with nothing (restart_arena()). A slot's `life` advances before its
 * buffers are used for something else, for those who look at them from other queues.
 *
 * Reads do the same where a member is missing, and nothing else is the matter: a stream
 * reads by rows (start.h), what its slots have read of a row is kept for the chunk of it
 * that is rebuilt, and what that has read for those behind it. Writes have nothing of it,
 * and end it as they end what others keep.
 *
 * Cost: of a write one look into kept_at[], a load and a store for each unit.
 * Nothing of a read in a whole array.
 */
#ifndef RINGRAID_ENGINE_KEPT_H
#define RINGRAID_ENGINE_KEPT_H

#include "lock.h"
#include "request.h"

enum rr_keeps {
	RR_KEEPS_NOTHING = 0,
	RR_KEEPS = 1,	    /* kept[] is true, of units of which the slot is the holder */
	RR_KEEPS_LATER = 2, /* ... and will be again, when the write is through */
};

/* The place in kept_at[] of the slot that wrote @cell last. */
RR_STEP rr_u32 rr_kept_place(rr_u64 cell)
{
	return rr_lock_index(cell) & (RR_KEPT_PLACES - 1);
}

/* The free list's end is where nothing kept was used longest ago. */
RR_STEP void rr_free_push(rr_array_t *a, rr_queue_t *q, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	int keeps = s->keeps == RR_KEEPS;
	rr_u32 other = keeps ? q->free_tail : q->free_slot;

	q->free_slots++;
	s->next = keeps ? (rr_u32)RR_NIL : other;
	s->prev = keeps ? other : (rr_u32)RR_NIL;
	if (other == RR_NIL) {
		q->free_slot = slot;
		q->free_tail = slot;
	} else if (keeps) {
		rr_slot_at(a, q, other)->next = slot;
		q->free_tail = slot;
	} else {
		rr_slot_at(a, q, other)->prev = slot;
		q->free_slot = slot;
	}
}

RR_STEP void rr_free_take(rr_array_t *a, rr_queue_t *q, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);

	q->free_slots--;
	if (s->prev == RR_NIL)
		q->free_slot = s->next;
	else
		rr_slot_at(a, q, s->prev)->next = s->next;
	if (s->next == RR_NIL)
		q->free_tail = s->prev;
	else
		rr_slot_at(a, q, s->next)->prev = s->prev;
}

/* The slot's number among all, plus one, as a holder. */
RR_STEP rr_u32 rr_slot_who(rr_array_t *a, rr_queue_t *q, rr_u32 slot)
{
	return q->id * a->slots + slot + 1;
}

/* What is kept is of use in this state: to writes in a whole array, to reads in a degraded one. */
RR_STEP int rr_kept_may(rr_u32 op, rr_u64 state)
{
	rr_u32 what = (rr_u32)state;

	return op == RR_OP_READ ? what && !(what & ~(rr_u32)RR_STATE_MISSING) : !what;
}

/* Nothing is kept from here on, and who copies it elsewhere gets to know that. */
RR_STEP void rr_kept_ends(rr_slot_t *s)
{
	s->keeps = RR_KEEPS_NOTHING;
	(void)rr_fetch_add(s->life, 1U);
}

/* Nothing is kept of @units, of any role. */
RR_STEP void rr_kept_forget(rr_array_t *a, rr_slot_t *s, rr_u32 units)
{
	rr_u32 role;

	rr_for_roles (role, rr_all_roles(a))
		s->kept[role] &= ~units;
}

/* The lock is taken: units of it that the slot does not keep, and another may. */
RR_FN int rr_kept_locked(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_lock_t *l = rr_lock_at(a, s->lock);
	rr_u64 state = rr_load(a->state);
	rr_u32 who = rr_slot_who(a, q, slot);
	rr_u32 others = 0;
	rr_u32 unit;

	if (s->keeps && (rr_state_epoch(state) != s->epoch || !rr_kept_may(s->op, state)))
		rr_kept_ends(s);
	if (!rr_kept_may(s->op, state))
		return 0;
	if (!s->keeps)
		return s->lock_mask;
	rr_for_roles (unit, s->lock_mask) {
		if (rr_load(l->holder[unit]) != who)
			others |= 1U << unit;
	}
	if (others)
		rr_kept_forget(a, s, others);
	return (int)others;
}

/* The units of [lo, hi) that lie in there wholly. */
RR_STEP rr_u32 rr_kept_units(rr_array_t *a, rr_u32 lo, rr_u32 hi)
{
	rr_u32 shift = a->unit_shift - RR_SECTOR_SHIFT;
	rr_u32 first = (lo + (1U << shift) - 1) >> shift;
	rr_u32 end = hi >> shift;

	return first < end ? ((1U << end) - 1) & ~((1U << first) - 1) & 0xffff : 0;
}

/*
 * Mask of the roles that are written of which the old content is kept; above it, of those
 * in @partial whose part of the hull is, or will be payload. It says nothing more until the
 * write is through.
 */
RR_FN int rr_kept_roles(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot,
			rr_u32 partial)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 hull = rr_lock_mask(a, s->lo, s->hi);
	rr_u32 found = 0;
	rr_u32 role, fresh;

	s->keeps = RR_KEEPS_LATER;
	rr_for_roles (role, s->data_mask | 1U << s->parity) {
		if (!(s->units[role] & ~s->kept[role]))
			found |= 1U << role;
	}
	rr_for_roles (role, partial) {
		fresh = s->data_mask >> role & 1 ? s->whole[role] : 0;
		if (!(hull & ~(s->kept[role] | fresh)))
			found |= 0x10000U << role;
	}
	return (int)found;
}

/* As above for a read: those of @roles of which all that it needs is kept. */
RR_FN int rr_kept_rows(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot,
		       rr_u32 roles)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 hull = s->plan == RR_PLAN_REBUILD ? rr_lock_mask(a, s->lo, s->hi) : 0;
	rr_u32 found = 0;
	rr_u32 role;

	s->keeps = RR_KEEPS_LATER;
	rr_for_roles (role, roles) {
		if (!((hull ? hull : s->units[role]) & ~s->kept[role]))
			found |= 1U << role;
	}
	return (int)found;
}

/* It was planned as one that is kept: of a read, one that has locked its rows. */
RR_STEP int rr_kept_planned(rr_slot_t *s)
{
	if (s->op == RR_OP_READ)
		return s->locked;
	return s->plan == RR_PLAN_RMW || s->plan == RR_PLAN_RCW;
}

/* The slot is through: what the buffers hold is what the members hold. */
RR_FN int rr_kept_note(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 roles = rr_all_roles(a);
	rr_u64 state = rr_load(a->state);
	int parts = s->plan == RR_PLAN_RMW || s->plan == RR_PLAN_READ;
	rr_u32 role;

	if (s->error || s->bad != RR_NO_ROLE || !rr_kept_may(s->op, state) ||
	    rr_state_epoch(state) != s->epoch || !rr_kept_planned(s)) {
		s->keeps = RR_KEEPS_NOTHING;
		return 0;
	}
	if (s->keeps == RR_KEEPS_NOTHING) {
		rr_for_roles (role, roles)
			s->kept[role] = 0;
	}
	if (s->plan == RR_PLAN_RMW)
		roles = s->data_mask | 1U << s->parity;
	else if (s->plan == RR_PLAN_READ)
		roles = s->data_mask;
	else if (s->plan == RR_PLAN_REBUILD)
		roles &= ~(1U << s->role);
	rr_for_roles (role, roles) {
		if (parts)
			s->kept[role] |=
				s->units[role] & rr_kept_units(a, s->from[role], s->to[role]);
		else
			s->kept[role] |= rr_kept_units(a, s->lo, s->hi);
	}
	s->keeps = RR_KEEPS;
	q->kept_at[rr_kept_place(s->cell)] = slot;
	return 0;
}

/* Before the lock of a slot that wrote, or keeps what it read, is released. */
RR_FN int rr_kept_release(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_lock_t *l = rr_lock_at(a, s->lock);
	rr_u32 who = s->keeps == RR_KEEPS ? rr_slot_who(a, q, slot) : 0;
	rr_u64 __arena *all = (rr_u64 __arena *)l->holder;
	rr_u32 units = s->lock_mask;
	rr_u32 unit;

	if (who && s->plan == RR_PLAN_RMW)
		units &= s->units[s->parity & (RR_MEMBERS_MAX - 1)];
	if (units == (1U << RR_UNITS_MAX) - 1) {
		/* Four at once. */
		for (unit = 0; unit < RR_UNITS_MAX / 4; unit++)
			rr_store(all[unit], who * 0x0001000100010001ULL);
		return 0;
	}
	rr_for_roles (unit, units)
		rr_store(l->holder[unit], (rr_u16)who);
	return 0;
}

#endif /* RINGRAID_ENGINE_KEPT_H */
