/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Member failures, and what a member's error means.
 *
 * The array's state is one word: the mask of members out of use, a flag that
 * says that a second one failed, and the epoch, a count of failures. Every
 * plan is made from one load of it; a failure changes mask and epoch in one
 * compare-and-swap. From that moment no new plan uses the member, and no write
 * is acknowledged until the control plane has stored the same epoch in
 * durable_epoch, which it does when the survivors' superblocks say so.
 *
 * A missing role may be on its way back: RR_STATE_REBUILD says that a device has its
 * place and holds its rows up to job.frontier (job.h), and those of regions that need
 * no rebuild (region.h). It is then a member there, and fails like one: the flag goes
 * and the epoch moves on.
 *
 * A replacement is a member that nobody reads: it is written and flushed, and where it
 * fails the flag goes and the epoch moves on, as nothing may be acknowledged before the
 * superblocks have given it up. When a member fails it is given up as well: the array
 * then has better use for the device.
 *
 * Where rr_array.judged is set an error is no failure yet (docs/decisions/0037): the network
 * may be away, with all members, or another host may have reserved them. The I/O stands in
 * the queue's retry ring until the control plane has looked at the members and takes the bit
 * out of `suspects`: then it is issued again, or its member is out. What fails again and
 * again though it finds all of them `well` is the member's own affair.
 *
 * The second failure of a member is not recorded in superblocks: the array
 * stops taking writes and stays dirty, so that what is left can be judged.
 */
#ifndef RINGRAID_ENGINE_MEMBER_H
#define RINGRAID_ENGINE_MEMBER_H

#include "arena.h"

enum {
	RR_EINTR = 4,
	RR_EIO = 5,
	RR_EAGAIN = 11,
	RR_ENOMEM = 12,
	RR_EINVAL = 22,
	RR_ENODATA = 61,
	RR_EILSEQ = 84,
	RR_EREMOTEIO = 121,
	RR_EOPNOTSUPP = 95,
	RR_ECANCELED = 125,
};

/* Results that say nothing about the medium: the same I/O is issued again. */
RR_STEP int rr_transient(rr_s32 res)
{
	return res >= 0 || res == -RR_EAGAIN || res == -RR_EINTR || res == -RR_ENOMEM ||
	       res == -RR_ECANCELED;
}

/*
 * What a transient result takes of the patience with its I/O. Nothing at all
 * is what a device that is gone answers to reads: a moment, not ten seconds.
 */
RR_STEP rr_u32 rr_patience(rr_s32 res)
{
	return res ? 1 : rr_retries_max() / 8 + 1;
}

/* The state after the member, or the @replacement, of @bit has failed; as it is: that was not in
 * use. */
RR_STEP rr_u64 rr_state_after_loss(rr_u64 state, rr_u64 bit, rr_u64 replacement)
{
	if (bit == replacement)
		return state & RR_STATE_REPLACE
			       ? (state & ~RR_STATE_REPLACE) + (1ULL << RR_STATE_EPOCH_SHIFT)
			       : state;
	if (state & bit)
		return state & RR_STATE_REBUILD
			       ? (state & ~RR_STATE_REBUILD) + (1ULL << RR_STATE_EPOCH_SHIFT)
			       : state;
	if (state & RR_STATE_MISSING)
		return state | RR_STATE_BROKEN;
	return ((state & ~RR_STATE_REPLACE) | bit) + (1ULL << RR_STATE_EPOCH_SHIFT);
}

/* Takes @role, or the replacement, out of use. 1: now, 0: it was out, -1: it is the second. */
RR_FN int rr_member_fail(rr_array_t *a RR_ARG_ARENA, rr_u32 role, rr_s32 error)
{
	rr_u64 bit = 1ULL << (role & (RR_MEMBERS_MAX - 1));
	rr_u64 replacement = rr_replacement_bit(a->geometry.members);
	rr_u64 seen = rr_load(a->state);
	rr_u64 next, found;
	rr_s32 i;

	/* Before the state: who sees the member out finds the reason. */
	if (!(seen & bit) || (seen & RR_STATE_REBUILD))
		rr_store(a->members[role & (RR_MEMBERS_MAX - 1)].error, -error);
	/* The word changes with members, and they are few: no retry is endless. */
	rr_for (i, 16) {
		next = rr_state_after_loss(seen, bit, replacement);
		if (next == seen && ((seen & bit) || bit == replacement))
			return 0;
		found = rr_swap_if(a->state, seen, next);
		if (found == seen)
			return (seen & RR_STATE_MISSING) && !(seen & bit) ? -1 : 1;
		seen = found;
	}
	return -1;
}

/* The rows of @cell are what the job is for, and it has not come to them. */
RR_STEP int rr_job_has_to(rr_array_t *a, rr_u64 cell)
{
	return cell >= rr_load(a->job.frontier) &&
	       (!rr_load(a->job.by_region) ||
		(rr_load(*rr_region_at(a, rr_region_of_cell(a, cell))) & RR_REGION_NEEDED));
}

/*
 * @role cannot be read in the rows up to those of @cell. The frontier is loaded
 * after the state: it moves only while the flag is there.
 */
RR_STEP int rr_role_out(rr_array_t *a, rr_u32 role, rr_u64 cell)
{
	rr_u64 state = rr_load(a->state);

	if (!(state >> (role & (RR_MEMBERS_MAX - 1)) & 1))
		return 0;
	return !(state & RR_STATE_REBUILD) || rr_job_has_to(a, cell);
}

/*
 * The role that is not there in the rows of @cell, or RR_NO_ROLE. A caller that acts on it
 * looks at the state again: when the job is over the words that say how far it is are those
 * of the next one, and a state from before would take them for its own.
 */
RR_STEP rr_u32 rr_missing_at(rr_array_t *a, rr_u64 state, rr_u64 cell)
{
	if ((state & RR_STATE_REBUILD) && !rr_job_has_to(a, cell))
		return RR_NO_ROLE;
	return rr_state_missing(state);
}

/* The parity of the rows of @cell says nothing about their data. */
RR_STEP int rr_unsynced_at(rr_array_t *a, rr_u64 state, rr_u64 cell)
{
	return (state & RR_STATE_RESYNC) && rr_job_has_to(a, cell);
}

/* As rr_suspect(), for who tells the control plane in another way. */
RR_STEP int rr_suspect_untold(rr_array_t *a, rr_u32 role, rr_s32 res)
{
	rr_u32 bit = 1U << (role & (RR_MEMBERS_MAX - 1));
	rr_u64 state, seen, found;
	rr_s32 i;

	/* Those tell of the medium; and 0 bytes is what a device that is gone reads. */
	if (res > 0 || !a->judged || res == -RR_ENODATA || res == -RR_EILSEQ ||
	    res == -RR_EREMOTEIO)
		return 0;
	state = rr_load(a->state);
	if ((state & RR_STATE_BROKEN) || rr_state_is_out(state, role) ||
	    (role >= a->geometry.members && !(state & RR_STATE_REPLACE)))
		return 0;
	rr_store(a->suspect_error, res);
	/* Counted: a look that began before it does not cover it. */
	seen = rr_load(a->suspects);
	rr_for (i, RR_QUEUES_MAX * 64) {
		found = rr_swap_if(a->suspects, seen, (seen | bit) + RR_SUSPECT_COUNT);
		if (found == seen)
			break;
		seen = found;
	}
	return 1;
}

/* 1: @res of an I/O on @role, no success, waits for the control plane to look. */
RR_FN int rr_suspect(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 role,
		     rr_s32 res)
{
	if (!rr_suspect_untold(a, role, res))
		return 0;
	q->notify = 1;
	return 1;
}

/* As rr_member_fail(), and tells the control plane. */
RR_STEP void rr_fail_from(rr_array_t *a, rr_queue_t *q, rr_u32 role, rr_s32 error)
{
	rr_member_fail(a, role, error);
	q->notify = 1;
}

/* What may be said to the client of a write or flush that is done. */
enum rr_promise {
	RR_PROMISE_KEPT = 0,
	RR_PROMISE_HELD = 1,   /* a failure is not durable yet */
	RR_PROMISE_BROKEN = 2, /* -EIO: a broken array promises nothing any more */
};

/*
 * durable_epoch first. A survivor that refuses its superblock breaks the array
 * before the control plane stores the epoch to let the held ones go: who looks
 * at the state first can miss the break and still find the epoch. All is then
 * judged from one state, which is not older than the epoch.
 */
RR_STEP rr_u32 rr_promise(rr_array_t *a)
{
	rr_u32 durable = rr_load(a->durable_epoch);
	/* Before a first failure is durable no order counts, and a fence would cost. */
	rr_u64 state = durable ? rr_load_fenced(a->state) : rr_load(a->state);

	if (state & RR_STATE_BROKEN)
		return RR_PROMISE_BROKEN;
	return rr_state_epoch(state) == durable ? RR_PROMISE_KEPT : RR_PROMISE_HELD;
}

#endif /* RINGRAID_ENGINE_MEMBER_H */
