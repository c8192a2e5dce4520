/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The engine's seam: what a host calls, and in which order.
 *
 *   rr_request_start   a client's request is in rr_request (sector, sectors,
 *                      op, flags); its tag is not in use
 *   rr_complete        an action has completed with a result in bytes or -errno
 *   rr_message         another queue or the control plane woke this one
 *   rr_tick            the timer that q->tick_wanted asked for has fired
 *   rr_settle          after some of these, and before the host sleeps: whatever became
 *                      possible happens. What came since the last time is gathered
 *
 * Then the host takes the actions between action_head and action_tail, in
 * order, and looks at wake_mask, notify, log_news and tick_wanted. All calls for one
 * queue come from one thread. The engine knows nothing of rings or threads.
 */
#ifndef RINGRAID_ENGINE_ENGINE_H
#define RINGRAID_ENGINE_ENGINE_H

#include "flush.h"
#include "log.h"
#include "zero.h"

/* Counts it in. 0, or why it cannot be done. */
RR_FN int rr_request_open(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 tag)
{
	rr_request_t *r = rr_request_at(a, q, tag);
	rr_u32 op = r->op;
	rr_u64 most = rr_stripe_rest(a, r->sector);

	if (op == RR_OP_DISCARD || op == RR_OP_ZEROES) {
		r->op = RR_OP_WRITE;
		r->flags |= RR_REQ_ZEROES | RR_REQ_COPY;
		most = a->array_sectors - r->sector;
	}
	q->open++;
	q->came++;
	q->writes_came += r->op == RR_OP_WRITE;
	rr_write_opens(q, r);
	r->error = 0;
	r->pending = 0;
	r->retries = 0;
	r->wanted_roles = 0;
	r->rebuilt = 0;
	if (r->op > RR_OP_FLUSH)
		r->error = -RR_EOPNOTSUPP;
	else if (r->op != RR_OP_FLUSH &&
		 (!r->sectors || r->sector >= a->array_sectors || r->sectors > most))
		r->error = -RR_EIO;
	else if (op == RR_OP_DISCARD)
		rr_discard_narrow(a, q, tag);
	return r->error;
}

RR_FN int rr_request_start(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 tag)
{
	rr_request_t *r = rr_request_at(a, q, tag);

	if (rr_request_open(a, q, tag)) {
		rr_request_answer(a, q, tag);
		return 0;
	}
	if (r->op == RR_OP_FLUSH)
		return rr_flush_start(a, q, tag);
	if (r->op == RR_OP_READ)
		return rr_read_start(a, q, tag);
	if (!r->sectors)
		return rr_request_done(a, q, tag); /* a discard of no whole stripe */
	if (rr_load(a->rest))
		return rr_rest_wait(a, q, tag);
	return rr_write_start(a, q, tag);
}

RR_STEP void rr_complete(rr_array_t *a, rr_queue_t *q, rr_u64 token, rr_s32 res)
{
	rr_u32 kind = rr_token_kind(token);

	if (kind == RR_TOKEN_DIRECT)
		rr_direct_complete(a, q, token, res);
	else if (kind == RR_TOKEN_SLOT)
		rr_slot_complete(a, q, token, res);
	else if (kind == RR_TOKEN_FLUSH)
		rr_flush_complete(a, q, token, res);
}

RR_STEP void rr_message(rr_array_t *a, rr_queue_t *q)
{
	q->lock_retry = 1;
	q->job_look = 1;
	rr_region_look(a, q);
	rr_rest_look(a, q);
	if (a->log_roles)
		rr_log_look(a, q);
}

/* What an I/O has had of its patience after one more look that found all well; 0: all of it. */
RR_STEP rr_u32 rr_retries_looked(rr_u32 retries)
{
	retries += rr_retries_max() / 32 + 1;
	return retries < rr_retries_max() ? retries : 0;
}

/*
 * A suspect's I/O after the look: 1, it is issued again; 0: its error is the member's own.
 * Where all were well that takes of its patience, so that what comes late of a short outage,
 * one member's result after the other's, is no failure, and a bad block is one in the end.
 */
RR_FN int rr_suspect_cleared(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u64 token)
{
	rr_u32 kind = rr_token_kind(token);
	rr_u32 index = rr_token_index(token);

	if (!rr_load(a->well))
		return 1;
	if (kind == RR_TOKEN_SLOT) {
		rr_slot_t *s = rr_slot_at(a, q, index);

		s->retries = rr_retries_looked(s->retries);
		return s->retries != 0;
	}
	if (kind == RR_TOKEN_DIRECT) {
		rr_request_t *r = rr_request_at(a, q, index);

		r->retries = rr_retries_looked(r->retries);
		return r->retries != 0;
	}
	q->flush_retries = rr_retries_looked(q->flush_retries);
	return q->flush_retries != 0;
}

/* Issues a retried I/O again. 0: its member went out meanwhile, and it is a read. */
RR_FN int rr_retry_one(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u64 token)
{
	rr_u32 kind = rr_token_kind(token);

	if (token & RR_TOKEN_SUSPECT) {
		/* Nobody looks any more, and the members may be another host's. */
		if (rr_load(a->state) & RR_STATE_BROKEN)
			return 0;
		/* Not looked at yet. There is room: it came from there. */
		if (rr_load(a->suspects) >> rr_token_role(token) & 1) {
			rr_retry_push(q, token);
			return 1;
		}
		token &= ~RR_TOKEN_SUSPECT;
		if (!rr_suspect_cleared(a, q, token))
			return 0;
	}
	if (kind == RR_TOKEN_FLUSH) {
		rr_flush_emit(a, q, rr_token_role(token));
		return 1;
	}
	if (kind == RR_TOKEN_CLIENT) {
		rr_client_again(a, q, token);
		return 1;
	}
	if (kind == RR_TOKEN_SLOT) {
		if (rr_slot_reads_lost(a, q, token))
			return 0;
		rr_slot_emit(a, q, token);
		return 1;
	}
	if (rr_load(a->state) >> rr_token_role(token) & 1)
		return 0;
	if (kind == RR_TOKEN_DIRECT) {
		rr_request_t *r = rr_request_at(a, q, rr_token_index(token));
		struct rr_place p = rr_request_place(a, r);
		rr_u32 sector = rr_token_sector(token);
		rr_u32 from = (p.start + sector) & ((1U << a->geometry.chunk_shift) - 1);

		rr_direct_emit(a, q, rr_token_index(token), rr_token_role(token),
			       (p.stripe << a->geometry.chunk_shift) + from, sector,
			       rr_token_sectors(token));
	}
	return 1;
}

/* Apart, as rr_latency_begin(). */
RR_FN int rr_tick(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA)
{
	rr_u32 n = q->retry_count;
	rr_u64 token;
	rr_s32 i;

	rr_count(q, ticks, 1);
	q->lock_retry = 1;
	q->job_look = 1;
	rr_region_look(a, q);
	if (a->log_roles)
		rr_log_look(a, q);
	q->retry_count = 0;
	rr_for (i, RR_RETRY_RING) {
		if ((rr_u32)i >= n)
			break;
		token = q->retry[i];
		if (!rr_retry_one(a, q, token))
			rr_complete(a, q, token & ~RR_TOKEN_SUSPECT,
				    token & RR_TOKEN_SUSPECT ? -RR_EREMOTEIO : -RR_EIO);
	}
	return 0;
}

/* Each waiter for a row lock tries once, in order. */
RR_FN int rr_lock_waiters(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA)
{
	rr_u32 last = q->lock_wait.tail;
	rr_u32 slot;
	rr_s32 i;

	q->lock_retry = 0;
	rr_for (i, RR_SLOTS_MAX) {
		slot = rr_slot_pop(a, q, &q->lock_wait);
		if (slot == RR_NIL)
			break;
		rr_slot_lock(a, q, slot);
		if (slot == last)
			break;
	}
	return 0;
}

/* Requests in line for a slot start as slots come free. */
RR_FN int rr_slot_waiters(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA)
{
	rr_request_t *r;
	rr_u32 tag;
	rr_s32 i;

	rr_for (i, RR_SLOTS_MAX + RR_DEPTH_MAX) {
		tag = q->slot_wait.head;
		if (tag == RR_NIL)
			break;
		r = rr_request_at(a, q, tag);
		if (r->wanted_roles) {
			if (r->op == RR_OP_WRITE) {
				if (!rr_write_start_cell(a, q, tag))
					break;
				continue;
			}
			if (q->free_slot == RR_NIL)
				break;
			rr_read_start_cell(a, q, tag);
			continue;
		}
		rr_request_pop(a, q, &q->slot_wait);
		r->flags &= ~RR_REQ_QUEUED;
		if (!r->pending)
			rr_request_done(a, q, tag);
	}
	return 0;
}

/* Slots that were begun ask for their locks: what came in this turn is behind them. */
RR_FN int rr_start_slots(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA)
{
	rr_u32 last = q->starting.tail;
	rr_u32 slot;
	rr_s32 i;

	rr_for (i, RR_SLOTS_MAX) {
		slot = rr_slot_pop(a, q, &q->starting);
		if (slot == RR_NIL)
			break;
		if (rr_slot_at(a, q, slot)->zero)
			rr_slot_init_zero(a, q, slot);
		else if (rr_slot_at(a, q, slot)->op == RR_OP_WRITE)
			rr_slot_init_write(a, q, slot);
		rr_slot_lock(a, q, slot);
		if (slot == last)
			break;
	}
	return 0;
}

RR_FN int rr_settle_slowly(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA)
{
	rr_s32 i;

	if (q->rest_wait.head != RR_NIL)
		rr_rest_release(a, q);
	if (q->region_wait.head != RR_NIL)
		rr_region_release(a, q);
	if (q->job_look == RR_JOB_LOOK_FIRST)
		rr_job_go_on(a, q);
	/* A slot that starts may fail at once and free what another waits for. */
	rr_for (i, 2 * (RR_SLOTS_MAX + RR_DEPTH_MAX)) {
		if (q->lock_retry && q->lock_wait.head != RR_NIL)
			rr_lock_waiters(a, q);
		if (q->zero_first)
			rr_zero_waiters(a, q);
		if (q->slot_wait.head != RR_NIL)
			rr_slot_waiters(a, q);
		if (q->zero_wait.head != RR_NIL)
			rr_zero_waiters(a, q);
		if (q->starting.head == RR_NIL)
			break;
		rr_start_slots(a, q);
	}
	if (q->job_look)
		rr_job_go_on(a, q);
	if (q->log_wait.head != RR_NIL)
		rr_log_waiters(a, q);
	if (q->held.head != RR_NIL)
		rr_held_release(a, q);
	if ((q->lock_wait.head & q->starting.head) != RR_NIL || q->retry_count)
		q->tick_wanted = 1;
	return 0;
}

RR_STEP void rr_settle(rr_array_t *a, rr_queue_t *q)
{
	if ((q->lock_wait.head & q->slot_wait.head & q->starting.head & q->held.head &
	     q->rest_wait.head & q->region_wait.head & q->log_wait.head & q->zero_wait.head) !=
		    RR_NIL ||
	    q->job_look)
		rr_settle_slowly(a, q);
	else
		q->lock_retry = 0;
}

#endif /* RINGRAID_ENGINE_ENGINE_H */
