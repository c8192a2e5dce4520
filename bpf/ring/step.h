/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One turn of a queue: completions in, engine, SQEs out.
 *
 * The includer gives the ring's parts and:
 *
 *   rr_host_t                          what its own functions need, as first argument
 *   rr_host_descriptor(table, tag, &d) copy ublk's descriptor of a request
 *   rr_host_offsets()                  struct rr_ring_offsets
 *   rr_host_clock()                    ns, for latency.h
 *   rr_host_fuses()                    it sets rr_queue.fused; and then
 *   rr_host_fuse(host, a, q, slot)     RR_ACT_FUSE: 0 or -errno
 *   the submission itself              rr_step() returns how many SQEs wait
 *
 * Order in a turn: every CQE is consumed, then all of it is settled, so that what came
 * together is seen together; then cq.head is stored,
 * then actions become SQEs while there is room, then sq.tail is stored. An
 * action that needs no SQE completes there and then. What
 * finds no room stays in the action ring and RR_STEP_AGAIN asks for a turn
 * without sleep. The number of SQEs in flight is bounded below the size of the
 * CQ ring, so it never overflows.
 *
 * The end: when ublk has taken back every tag (-ENODEV) and nothing is in
 * flight, the turn says RR_STEP_STOP; so it does when it has parked (park.h).
 * rr_queue.stop_reason tells which.
 */
#ifndef RINGRAID_RING_STEP_H
#define RINGRAID_RING_STEP_H

#include "../engine/engine.h"
#include "bundle.h"
#include "latency.h"
#include "park.h"
#include "sqe.h"

enum rr_step_verdict {
	RR_STEP_WAIT = 0,  /* sleep until the next completion */
	RR_STEP_AGAIN = 1, /* more to submit */
	RR_STEP_STOP = 2,
};

enum {
	RR_UBLK_OP_MASK = 0xff,
	RR_UBLK_FUA = 1 << 13,		/* UBLK_IO_F_FUA */
	RR_UBLK_NOUNMAP = 1 << 15,	/* UBLK_IO_F_NOUNMAP */
	RR_UBLK_NEED_REG_BUF = 1 << 17, /* UBLK_IO_F_NEED_REG_BUF */
	RR_ENODEV = 19,
	RR_EOVERFLOW = 75,
};

#define rr_ring_word(base, offset) (*(volatile rr_u32 *)((base) + (offset)))

/*
 * Something of a client, whose descriptors are in @table. Apart, for the program's stack: all
 * that the engine does stands on a turn's frame.
 */
RR_FN int rr_step_client(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u64 table,
			 rr_u64 token, rr_s32 res)
{
	rr_u32 tag = rr_token_index(token) & (RR_DEPTH_MAX - 1);
	struct ublksrv_io_desc d;
	rr_request_t *r;

	/*
	 * io_uring had no memory for the command: ublk has not seen it, and its
	 * tag would wait for ever.
	 */
	if (res == -RR_ENOMEM) {
		if (!rr_retry_later(q, token))
			rr_client_again(a, q, token);
		return 0;
	}
	if (res) {
		q->fetches--;
		if (res == -RR_ENODEV)
			q->gone = q->job_look = 1;
		else
			q->last_error = res;
		return 0;
	}
	r = rr_request_at(a, q, tag);
	if (rr_host_descriptor(table, tag, &d))
		d = (struct ublksrv_io_desc){}; /* no sectors: refused */
	r->op = d.op_flags & RR_UBLK_OP_MASK;
	r->sectors = d.nr_sectors;
	r->sector = d.start_sector;
	r->flags = (d.op_flags & RR_UBLK_FUA ? RR_REQ_FUA : 0) |
		   (d.op_flags & RR_UBLK_NOUNMAP ? RR_REQ_MAPPED : 0) |
		   (d.op_flags & RR_UBLK_NEED_REG_BUF ? RR_REQ_COPY : 0);
	rr_latency_came(a, q, tag);
	if (rr_load(a->park))
		rr_park_request(a, q, tag);
	else
		rr_request_start(a, q, tag);
	return 0;
}

RR_STEP int rr_message_lost(rr_s32 res)
{
	return res == -RR_ENOMEM || res == -RR_EAGAIN || res == -RR_EOVERFLOW;
}

RR_STEP void rr_step_event(rr_array_t *a, rr_queue_t *q, struct rr_ring *ring, rr_u64 token,
			   rr_s32 res)
{
	rr_u32 kind = rr_token_kind(token);

	if (kind == RR_TOKEN_MESSAGE) {
		rr_message(a, q);
		return;
	}
	q->inflight--;
	switch (kind) {
	case RR_TOKEN_CLIENT:
		rr_step_client(a, q, ring->descriptors, token, res);
		break;
	case RR_TOKEN_WAKE:
		/* A wake-up lost for want of memory is sent again; a ring that is gone waits for
		 * nothing. */
		if (rr_message_lost(res)) {
			q->wake_mask |= 1U << (rr_token_index(token) & (RR_QUEUES_MAX - 1));
			q->tick_wanted = 1;
		}
		break;
	case RR_TOKEN_NOTIFY:
		if (rr_message_lost(res)) {
			q->notify = 1;
			q->tick_wanted = 1;
		}
		break;
	case RR_TOKEN_LOG:
		if (rr_message_lost(res)) {
			q->log_news = 1;
			q->tick_wanted = 1;
		}
		break;
	case RR_TOKEN_ASK:
		rr_flush_lost(a, q, rr_token_role(token));
		break;
	case RR_TOKEN_ZERO:
		rr_zero_lost(a, q, token);
		break;
	case RR_TOKEN_TIMER:
		q->timer_armed = 0;
		q->tick_wanted = 0;
		rr_tick(a, q);
		break;
	case RR_TOKEN_BUNDLE:
		rr_bundle_done(a, q, rr_token_index(token), res);
		break;
	default:
		if (rr_ring_is_nvme(rr_host_offsets()))
			res = rr_nvme_result(a, q, token, res);
		rr_complete(a, q, token, res);
	}
}

RR_STEP void rr_step_completions(rr_array_t *a, rr_queue_t *q, struct rr_ring *ring, rr_u8 *cq)
{
	const volatile struct rr_ring_offsets *at = rr_host_offsets();
	rr_u32 head = rr_ring_word(cq, at->cq_head);
	rr_u32 ready = rr_ring_word(cq, at->cq_tail) - head;
	rr_s32 i;

	if (ready > RR_RING_CQ_ENTRIES)
		ready = RR_RING_CQ_ENTRIES;
	rr_count(q, cqes, ready);
	rr_for (i, ready) {
		rr_u32 n = (head + i) & (RR_RING_CQ_ENTRIES - 1);
		volatile rr_u64 *cqe =
			(volatile rr_u64 *)(cq + at->cqes + ((rr_u64)n << at->cqe_shift));

		rr_step_event(a, q, ring, cqe[0], (rr_s32)cqe[1]);
	}
	rr_settle(a, q);
	rr_ring_word(cq, at->cq_head) = head + ready;
}

/* The oldest action leaves the ring. 1: as an SQE; 0: it is done, or in one that is there. */
RR_STEP int rr_step_action(rr_host_t *host, rr_array_t *a, rr_queue_t *q, struct rr_ring *ring,
			   rr_u8 *sq)
{
	rr_action_t *n = rr_action_at(a, q, q->action_head);

	q->action_head++;
	if (n->act == RR_ACT_BLANK || (rr_host_fuses() && n->act == RR_ACT_FUSE)) {
		rr_u64 token = n->token;
		rr_s32 bytes = (rr_s32)n->length;
		int ret = 0;

		if (n->act == RR_ACT_BLANK)
			rr_slot_blank(a, q, token, n->address);
		else if (rr_host_fuses())
			ret = rr_host_fuse(host, a, q, rr_token_index(token));

		rr_slot_complete(a, q, token, ret ? ret : bytes);
		rr_settle(a, q);
		return 0;
	}
	if (q->bundling && rr_bundle_joins(a, q, ring, sq, n))
		return 0;
	rr_sqe_action(sq, a, q, ring, n);
	if (rr_bundle_ends_well(a, n))
		rr_bundle_opens(a, q, n);
	return 1;
}

/* The engine's actions and the host's own messages, as room allows. */
RR_STEP int rr_step_submissions(rr_host_t *host, rr_array_t *a, rr_queue_t *q, struct rr_ring *ring,
				rr_u8 *sq, rr_u8 *cq)
{
	const volatile struct rr_ring_offsets *at = rr_host_offsets();
	rr_u32 room = RR_RING_SQ_ENTRIES - (q->sq_tail - rr_ring_word(cq, at->sq_head));
	rr_s32 i;

	if (room > RR_RING_SQ_ENTRIES)
		room = 0;
	if (q->notify && room > RR_QUEUES_MAX + 2) {
		q->notify = 0;
		room--;
		rr_sqe_message(sq, q, ring->control_fd, RR_TOKEN_MESSAGE, RR_TOKEN_NOTIFY);
	}
	if (q->log_news && room > RR_QUEUES_MAX + 2) {
		if (rr_log_wakes(a, q)) {
			room--;
			rr_sqe_message(sq, q, ring->log_fd, RR_TOKEN_MESSAGE, RR_TOKEN_LOG);
		}
	}
	if (q->wake_mask && room > RR_QUEUES_MAX + 2) {
		rr_for (i, RR_QUEUES_MAX) {
			if (!(q->wake_mask >> i & 1))
				continue;
			rr_count(q, wakes, 1);
			room--;
			rr_sqe_message(sq, q, ring->ring_fd[i & (RR_QUEUES_MAX - 1)],
				       RR_TOKEN_MESSAGE, rr_token(RR_TOKEN_WAKE, 0, i));
		}
		q->wake_mask = 0;
	}
	if (q->tick_wanted && !q->timer_armed && room) {
		room--;
		rr_sqe_timer(sq, a, q);
	}
	rr_bundles_begin(q);
	rr_for (i, RR_RING_SQ_ENTRIES) {
		if (q->action_head == q->action_tail || !room ||
		    q->inflight >= RR_RING_INFLIGHT_MAX)
			break;
		room -= rr_step_action(host, a, q, ring, sq);
	}
	rr_ring_word(cq, at->sq_tail) = q->sq_tail;
	if (q->action_head != q->action_tail && q->inflight < RR_RING_INFLIGHT_MAX)
		return RR_STEP_AGAIN;
	/* An action that was done here has released rows, or begun what waits for some. */
	return q->wake_mask || q->notify || (q->tick_wanted && !q->timer_armed) ? RR_STEP_AGAIN
										: RR_STEP_WAIT;
}

/* The first turn of a ring asks ublk for a request on every tag. */
RR_STEP void rr_step_begin(rr_array_t *a, rr_queue_t *q, struct rr_ring *ring, rr_u8 *sq, rr_u8 *cq)
{
	rr_s32 i;

	q->sq_tail = rr_ring_word(cq, rr_host_offsets()->sq_tail);
	q->started = 1;
	rr_for (i, RR_DEPTH_MAX) {
		if ((rr_u32)i >= a->depth)
			break;
		q->fetches++;
		rr_sqe_client(sq, q, ring, i, RR_UBLK_FETCH, 0);
	}
}

RR_STEP int rr_step(rr_host_t *host, rr_array_t *a, rr_queue_t *q, struct rr_ring *ring, rr_u8 *sq,
		    rr_u8 *cq)
{
	int verdict;

	rr_count(q, steps, 1);
	rr_latency_look_anew(q);
	if (!q->started)
		rr_step_begin(a, q, ring, sq, cq);
	if (q->parked.head != RR_NIL && !rr_load(a->park))
		rr_unpark(a, q);
	rr_step_completions(a, q, ring, cq);
	rr_latency_look_anew(q);
	verdict = rr_step_submissions(host, a, q, ring, sq, cq);
	if (verdict == RR_STEP_WAIT && !q->fetches && !q->inflight && !q->retry_count) {
		q->stop_reason = RR_STOP_ENDED;
		return RR_STEP_STOP;
	}
	if (verdict == RR_STEP_WAIT && rr_load(a->park) && rr_is_quiet(a, q)) {
		q->stop_reason = RR_STOP_PARKED;
		return RR_STEP_STOP;
	}
	return verdict;
}

#endif /* RINGRAID_RING_STEP_H */
