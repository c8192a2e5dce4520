/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Row locks: who may change or rebuild which part of a cell.
 *
 * A cell hashes to one lock word with a bit per unit (1/16 cell). A slot takes
 * all the units of its hull with one compare-and-swap, or none: it holds one
 * word at most and waits for nothing while it holds it, so there is no order
 * to keep and no deadlock. Two cells that share a word exclude each other only
 * where their units overlap: false sharing costs time, never correctness.
 *
 * Waiting: before each attempt a queue sets its byte in waiting[]; whoever
 * unlocks clears the bytes it finds set and wakes those queues. Both sides put
 * an atomic operation with full ordering between their store and their load,
 * so either the waiter sees the free units or the unlocker sees the byte. A
 * tick stands behind every wait.
 *
 * Fairness: a slot that has tried RR_LOCK_PATIENCE times puts a claim on its
 * units into the word, if none is there. From then on nobody else takes them,
 * so it waits for the holders of that moment and no longer, however many small
 * writes come behind it.
 *
 *   bits 0-15 locked units   16-31 claimed units   32-47 who claims (slot + 1)
 *
 * Cost: one compare-and-swap to lock, one fetch-add and two loads to unlock.
 */
#ifndef RINGRAID_ENGINE_LOCK_H
#define RINGRAID_ENGINE_LOCK_H

#include "arena.h"

RR_STEP rr_u32 rr_lock_index(rr_u64 cell)
{
	return (rr_u32)((cell * 0x9e3779b97f4a7c15ULL) >> 40) & (RR_LOCKS - 1);
}

/* Mask of the units that sectors [lo, hi) of a cell touch. */
RR_STEP rr_u32 rr_lock_mask(rr_array_t *a, rr_u32 lo, rr_u32 hi)
{
	rr_u32 shift = a->unit_shift - RR_SECTOR_SHIFT;
	rr_u32 first = lo >> shift;
	rr_u32 end = ((hi - 1) >> shift) + 1;

	return ((1U << end) - 1) & ~((1U << first) - 1) & 0xffff;
}

enum {
	RR_LOCK_PATIENCE = 8,
	RR_LOCK_CLAIM_SHIFT = 16,
	RR_LOCK_CLAIMER_SHIFT = 32,
};

#define RR_LOCK_CLAIM (1U << 31) /* flag in rr_lock_try()'s @who */

/*
 * The word after @who has tried for @mask: locked, with its own claim gone; or
 * claimed; or as it was.
 */
RR_STEP rr_u64 rr_lock_after(rr_u64 word, rr_u32 mask, rr_u32 who)
{
	rr_u32 claimed = word >> RR_LOCK_CLAIM_SHIFT & 0xffff;
	rr_u32 slot = who & ~RR_LOCK_CLAIM;

	if (!(word & mask) && !(claimed & mask))
		return word | mask;
	if (!(word & mask) && (rr_u32)(word >> RR_LOCK_CLAIMER_SHIFT) == slot)
		return (word & 0xffff) | mask;
	if ((who & RR_LOCK_CLAIM) && !claimed)
		return word | (rr_u64)mask << RR_LOCK_CLAIM_SHIFT |
		       (rr_u64)slot << RR_LOCK_CLAIMER_SHIFT;
	return word;
}

/*
 * 1: locked. 0: somebody holds or claims a unit; the queue is marked as
 * waiting. @who: the slot's number among all, plus one, and RR_LOCK_CLAIM.
 */
RR_FN int rr_lock_try(rr_array_t *a RR_ARG_ARENA, rr_u32 queue, rr_u32 lock, rr_u32 mask,
		      rr_u32 who)
{
	rr_lock_t *l = rr_lock_at(a, lock);
	rr_u64 seen = rr_load(l->units);
	rr_u64 next = rr_lock_after(seen, mask, who);
	rr_u64 found;
	rr_s32 i;

	rr_for (i, 64) {
		if (next == seen) {
			if (i)
				return 0;
			found = ~seen;
		} else {
			found = rr_swap_if(l->units, seen, next);
		}
		if (found == seen && (next & ~seen & mask))
			return 1;
		/* Blocked, claimed or overtaken: be seen to wait, then look again. */
		rr_store(l->waiting[queue & (RR_QUEUES_MAX - 1)], 1);
		seen = rr_load_fenced(l->units);
		next = rr_lock_after(seen, mask, who);
	}
	return 0;
}

/* Mask of the queues to wake. */
RR_FN int rr_lock_release(rr_array_t *a RR_ARG_ARENA, rr_u32 lock, rr_u32 mask)
{
	rr_lock_t *l = rr_lock_at(a, lock);
	rr_u64 __arena *waiting = (rr_u64 __arena *)l->waiting;
	rr_u32 wake = 0;
	rr_u64 before;
	rr_s32 i;

	/* The result is used so that BPF makes it the fetching, fully ordered form. */
	before = rr_fetch_add(l->units, -(rr_u64)mask);
	if ((before & mask) == mask && !(rr_load(waiting[0]) | rr_load(waiting[1])))
		return 0;
	rr_for (i, RR_QUEUES_MAX) {
		if (!rr_load(l->waiting[i]))
			continue;
		rr_store(l->waiting[i], 0);
		wake |= 1U << i;
	}
	return wake;
}

#endif /* RINGRAID_ENGINE_LOCK_H */
