/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Actions become SQEs, here and nowhere else.
 *
 * Shared by the BPF host and the user-space host: both write the same
 * SQEs for the same actions, so a comparison of the two compares where the
 * loop runs and nothing else. With NVMe members (nvme.h) SQEs have 128 bytes.
 * struct io_uring_sqe and struct ublksrv_io_cmd come from the uapi headers,
 * which the includer brings.
 */
#ifndef RINGRAID_RING_SQE_H
#define RINGRAID_RING_SQE_H

#include "../engine/arena.h"
#include "../include/ringraid/ring.h"
#include "latency.h"
#include "nvme.h"

enum {
	RR_SQE_FIXED_FILE = 1 << 0,   /* IOSQE_FIXED_FILE */
	RR_SQE_SKIP_SUCCESS = 1 << 6, /* IOSQE_CQE_SKIP_SUCCESS */
	RR_OPCODE_FSYNC = 3,
	RR_OPCODE_READ_FIXED = 4,
	RR_OPCODE_WRITE_FIXED = 5,
	RR_OPCODE_TIMEOUT = 11,
	RR_OPCODE_FALLOCATE = 17,
	RR_OPCODE_READ = 22,
	RR_OPCODE_WRITE = 23,
	RR_OPCODE_MSG_RING = 40,
	RR_OPCODE_URING_CMD = 46,
	RR_RWF_DSYNC = 2,
	RR_AUTO_BUF_FALLBACK = 1 << 16, /* UBLK_AUTO_BUF_REG_FALLBACK in sqe->addr */
};

#define RR_UBLK_FETCH	    0xc0107520U /* UBLK_U_IO_FETCH_REQ */
#define RR_UBLK_COMMIT	    0xc0107521U /* UBLK_U_IO_COMMIT_AND_FETCH_REQ */
#define RR_UBLK_BUF_OFFSET  0x80000000ULL
#define RR_UBLK_TAG_SHIFT   25
#define RR_UBLK_QUEUE_SHIFT 41

RR_STEP struct io_uring_sqe *rr_sqe_next(rr_u8 *sq, rr_queue_t *q)
{
	rr_u32 i = q->sq_tail & (RR_RING_SQ_ENTRIES - 1);
	rr_u64 *w = (rr_u64 *)(sq + ((rr_u64)i << rr_host_offsets()->sqe_shift));

	q->sq_tail++;
	q->inflight++;
	w[0] = w[1] = w[2] = w[3] = w[4] = w[5] = w[6] = w[7] = 0;
	if (rr_ring_is_nvme(rr_host_offsets()))
		w[8] = w[9] = w[10] = w[11] = w[12] = w[13] = w[14] = w[15] = 0;
	return (struct io_uring_sqe *)w;
}

/* FETCH or COMMIT_AND_FETCH: both leave the tag waiting for its next request. */
RR_STEP void rr_sqe_client(rr_u8 *sq, rr_queue_t *q, struct rr_ring *ring, rr_u32 tag, rr_u32 cmd,
			   rr_s32 result)
{
	struct io_uring_sqe *s = rr_sqe_next(sq, q);
	struct ublksrv_io_cmd *c = (struct ublksrv_io_cmd *)((rr_u8 *)s + 48);

	s->opcode = RR_OPCODE_URING_CMD;
	s->flags = RR_SQE_FIXED_FILE;
	s->fd = RR_RING_FILE_CLIENT;
	s->cmd_op = cmd;
	s->user_data = rr_token(RR_TOKEN_CLIENT, cmd == RR_UBLK_FETCH, tag);
	if (ring->zero_copy)
		s->addr = tag | RR_AUTO_BUF_FALLBACK;
	c->q_id = ring->queue;
	c->tag = tag;
	c->result = result;
}

/* The slots' buffers are registered: no page is looked up or pinned per I/O. */
RR_STEP rr_u32 rr_sqe_buffer(rr_array_t *a, rr_action_t *n)
{
	return n->act == RR_ACT_READ_DIRECT ? n->tag : a->depth;
}

/* A member's I/O as a command to its NVMe namespace. */
RR_STEP void rr_sqe_nvme(struct io_uring_sqe *s, rr_array_t *a, struct rr_ring *ring,
			 rr_action_t *n)
{
	struct rr_nvme_command *c = (struct rr_nvme_command *)((rr_u8 *)s + 48);
	rr_u64 block = n->position >> ring->lba_shift;
	rr_u32 act = n->act;

	s->opcode = RR_OPCODE_URING_CMD;
	s->cmd_op = RR_NVME_URING_CMD_IO;
	c->nsid = ring->nsid[n->role & (RR_MEMBERS_MAX - 1)];
	s->uring_cmd_flags = RR_URING_CMD_FIXED;
	s->buf_index = rr_sqe_buffer(a, n);
	c->opcode = act == RR_ACT_WRITE || act == RR_ACT_WRITE_FUA ? RR_NVME_WRITE : RR_NVME_READ;
	c->addr = act == RR_ACT_READ_DIRECT ? n->address : a->user_base + n->address;
	c->data_len = n->length;
	c->cdw10 = (rr_u32)block;
	c->cdw11 = (rr_u32)(block >> 32);
	c->cdw12 =
		((n->length >> ring->lba_shift) - 1) | (act == RR_ACT_WRITE_FUA ? RR_NVME_FUA : 0);
}

RR_STEP struct io_uring_sqe *rr_sqe_message(rr_u8 *sq, rr_queue_t *q, rr_s32 fd, rr_u64 message,
					    rr_u64 token)
{
	struct io_uring_sqe *s = rr_sqe_next(sq, q);

	s->opcode = RR_OPCODE_MSG_RING;
	s->fd = fd;
	s->off = message;
	s->user_data = token;
	return s;
}

/*
 * Asks for a flush of a member. The answer is a message too, and takes the place of the
 * completion: each SQE has one still. Only an ask that is lost completes by itself.
 */
RR_STEP void rr_sqe_ask(rr_u8 *sq, rr_queue_t *q, struct rr_ring *ring, rr_u32 role)
{
	struct io_uring_sqe *s =
		rr_sqe_message(sq, q, ring->flusher_fd, rr_token(RR_TOKEN_FLUSH, role, q->id),
			       rr_token(RR_TOKEN_ASK, role, 0));

	s->flags = RR_SQE_SKIP_SUCCESS;
}

/*
 * The same for a slot's zeros on a member, which the flusher finds by the queue's number
 * above the slot's.
 */
RR_STEP void rr_sqe_zero(rr_u8 *sq, rr_array_t *a, rr_queue_t *q, struct rr_ring *ring,
			 rr_action_t *n)
{
	rr_u64 token = (n->token & ~0xffULL) | RR_TOKEN_ZERO;
	struct io_uring_sqe *s = rr_sqe_message(
		sq, q, ring->flusher_fd, token | (rr_u64)q->id << (16 + RR_SLOT_BITS), token);

	s->len = (n->act == RR_ACT_ZERO_FUA ? RR_ZERO_DURABLE : 0) |
		 (rr_request_at(a, q, n->tag)->flags & RR_REQ_MAPPED ? RR_ZERO_MAPPED : 0);
	s->flags = RR_SQE_SKIP_SUCCESS;
}

RR_STEP void rr_sqe_action(rr_u8 *sq, rr_array_t *a, rr_queue_t *q, struct rr_ring *ring,
			   rr_action_t *n)
{
	rr_u32 act = n->act;
	struct io_uring_sqe *s;

	if (act == RR_ACT_COMMIT) {
		rr_latency_answered(a, q, n->tag);
		rr_sqe_client(sq, q, ring, n->tag, RR_UBLK_COMMIT, (rr_s32)n->length);
		return;
	}
	if (act == RR_ACT_FETCH) {
		rr_sqe_client(sq, q, ring, n->tag, RR_UBLK_FETCH, 0);
		return;
	}
	if (act == RR_ACT_FLUSH) {
		rr_sqe_ask(sq, q, ring, n->role);
		return;
	}
	if (act == RR_ACT_ZERO || act == RR_ACT_ZERO_FUA) {
		rr_sqe_zero(sq, a, q, ring, n);
		return;
	}
	s = rr_sqe_next(sq, q);
	s->flags = RR_SQE_FIXED_FILE;
	s->fd = RR_RING_FILE_MEMBER0 + n->role;
	s->user_data = n->token;
	if (rr_ring_is_nvme(rr_host_offsets()) && act != RR_ACT_COPY_IN && act != RR_ACT_COPY_OUT) {
		rr_sqe_nvme(s, a, ring, n);
		return;
	}
	s->len = n->length;
	s->off = n->position;
	if (act == RR_ACT_READ_DIRECT) {
		s->opcode = RR_OPCODE_READ_FIXED;
		s->buf_index = rr_sqe_buffer(a, n);
		s->addr = n->address;
		return;
	}
	s->addr = a->user_base + n->address;
	if (act == RR_ACT_COPY_IN || act == RR_ACT_COPY_OUT) {
		/* ublk's char device is the client's pages as a file; it takes user memory only. */
		s->opcode = act == RR_ACT_COPY_IN ? RR_OPCODE_READ : RR_OPCODE_WRITE;
		s->fd = RR_RING_FILE_CLIENT;
		s->off = RR_UBLK_BUF_OFFSET + n->position + ((rr_u64)n->tag << RR_UBLK_TAG_SHIFT) +
			 ((rr_u64)ring->queue << RR_UBLK_QUEUE_SHIFT);
		return;
	}
	s->opcode = act == RR_ACT_READ ? RR_OPCODE_READ_FIXED : RR_OPCODE_WRITE_FIXED;
	s->buf_index = rr_sqe_buffer(a, n);
	s->rw_flags = act == RR_ACT_WRITE_FUA ? RR_RWF_DSYNC : 0;
}

RR_STEP void rr_sqe_timer(rr_u8 *sq, rr_array_t *a, rr_queue_t *q)
{
	struct io_uring_sqe *s = rr_sqe_next(sq, q);
	rr_u64 ms = rr_tick_ms();

	q->timer_ns[0] = ms / 1000;
	q->timer_ns[1] = ms % 1000 * 1000000;
	q->timer_armed = 1;
	s->opcode = RR_OPCODE_TIMEOUT;
	s->fd = -1;
	s->len = 1;
	s->addr = a->user_base + a->queues_offset + (rr_u64)q->id * sizeof(struct rr_queue) +
		  __builtin_offsetof(struct rr_queue, timer_ns);
	s->user_data = RR_TOKEN_TIMER;
}

#endif /* RINGRAID_RING_SQE_H */
