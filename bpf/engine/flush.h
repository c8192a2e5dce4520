/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flushes, in rounds.
 *
 * A round notes, for every member, how many writes each queue has completed on
 * it, and flushes the members where that is more than the last flush covers.
 * Requests that come while a round is in flight wait for the next one, since
 * writes may have completed after it started; they all share it. Counts are
 * kept and compared per queue, so a round covers what it noted and nothing else
 * (docs/decisions/0008).
 *
 * The flushes of a round are in flight at once, and those of several queues for one
 * member are one where that is right: the host's matter (docs/decisions/0030), which
 * reads flush_start[], and leaves it alone while it has a flush of the role.
 *
 * A flush that fails puts the member out; the round's answers are then held
 * until that is durable, like any other.
 *
 * Cost: one flush for each member written since its last flush.
 */
#ifndef RINGRAID_ENGINE_FLUSH_H
#define RINGRAID_ENGINE_FLUSH_H

#include "rest.h"

RR_FN int rr_flush_emit(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 role)
{
	rr_emit(a, q, RR_ACT_FLUSH, role, 0, rr_token(RR_TOKEN_FLUSH, role, 0), 0, 0, 0);
	return 0;
}

/* The question was lost on the way: again at the next tick, for as long as it takes. */
RR_FN int rr_flush_lost(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 role)
{
	if (!rr_retry_later(q, rr_token(RR_TOKEN_FLUSH, role, 0)))
		rr_flush_emit(a, q, role);
	return 0;
}

/* Notes what a flush of @role will cover. 1: there is something to flush. */
RR_FN int rr_flush_needed(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 role)
{
	rr_u32 r = role & (RR_MEMBERS_MAX - 1);
	rr_u64 written;
	rr_s32 i;
	int needed = 0;

	rr_for (i, RR_QUEUES_MAX) {
		if ((rr_u32)i >= a->queues)
			break;
		written = rr_load(rr_queue_at(a, i)->written[r]);
		q->flush_start[r][i] = written;
		if (written > rr_load(a->members[r].flushed[i]))
			needed = 1;
	}
	return needed;
}

/* The flush of @role has covered what its round noted. */
RR_FN int rr_flush_covered(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 role)
{
	rr_u32 r = role & (RR_MEMBERS_MAX - 1);
	rr_u64 start;
	rr_s32 i;

	rr_for (i, RR_QUEUES_MAX) {
		start = q->flush_start[r][i];
		/* A race lets the note fall back: one flush too many, never one too few. */
		if (start > rr_load(a->members[r].flushed[i]))
			rr_store(a->members[r].flushed[i], start);
	}
	return 0;
}

RR_FN int rr_flush_round(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA)
{
	rr_u64 state = rr_load(a->state);
	rr_s32 i;

	q->flush_now.head = q->flush_next.head;
	q->flush_now.tail = q->flush_next.tail;
	q->flush_next.head = RR_NIL;
	q->flushing = 1;
	rr_for (i, RR_MEMBERS_MAX) {
		/* And the replacement, which is behind them. */
		if ((rr_u32)i >= a->geometry.members + !!(state & RR_STATE_REPLACE))
			break;
		if (rr_state_is_out(state, i) || !rr_flush_needed(a, q, i))
			continue;
		q->flushing++;
		rr_count(q, member_flushes, 1);
		rr_flush_emit(a, q, i);
	}
	return 0;
}

/* One part of the round is over; the last one answers. */
RR_FN int rr_flush_part_done(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA)
{
	rr_u32 tag;
	rr_s32 i;

	if (--q->flushing)
		return 0;
	rr_for (i, RR_DEPTH_MAX) {
		tag = rr_request_pop(a, q, &q->flush_now);
		if (tag == RR_NIL)
			break;
		rr_request_done(a, q, tag);
	}
	return 0;
}

RR_FN int rr_flush_start(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 tag)
{
	rr_count(q, flushes, 1);
	rr_request_push(a, q, &q->flush_next, tag);
	if (!q->flushing) {
		rr_flush_round(a, q);
		rr_flush_part_done(a, q);
	}
	return 0;
}

RR_FN int rr_flush_complete(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u64 token,
			    rr_s32 res)
{
	rr_u32 role = rr_token_role(token);
	int judged = res < 0 && !rr_transient(res) && rr_suspect(a, q, role, res);

	if (judged || (res < 0 && rr_transient(res) && q->flush_retries < rr_retries_max())) {
		if (rr_retry_later(q, judged ? token | RR_TOKEN_SUSPECT : token))
			q->flush_retries += !judged;
		else
			rr_flush_emit(a, q, role);
		return 0;
	}
	q->flush_retries = 0;
	if (res < 0)
		rr_fail_from(a, q, role, res);
	else
		rr_flush_covered(a, q, role);
	rr_flush_part_done(a, q);
	if (!q->flushing && q->flush_next.head != RR_NIL) {
		rr_flush_round(a, q);
		rr_flush_part_done(a, q);
	}
	return 0;
}

#endif /* RINGRAID_ENGINE_FLUSH_H */
