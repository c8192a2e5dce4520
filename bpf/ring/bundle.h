/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Member I/Os that are neighbours become one.
 *
 * A cell is 64 KiB at most, so a chunk of 512 KiB is eight I/Os of its member. The block
 * layer joins most of them; but none that is FUA, as all are where rows are logged and a
 * member's cache can lose them, and none of NVMe's commands, which it never sees. So an
 * action that goes on where an earlier one of this turn has ended, on the same member, at
 * the border of a cell, is added to the SQE of that one, which becomes a vectored one:
 *
 *   cell 0   cell 1   cell 2      one I/O:   addr, len
 *   ========|========|=====       three:     addr of pieces[], 3; user_data: the bundle
 *
 * It is as long as one I/O of a member may be (rr_array.read_cut), and its pieces meet at
 * the borders of pages, so it has no more segments than one piece of that length. Nothing
 * of it waits: what is not in this turn's actions is an I/O of its own.
 *
 * The engine knows nothing of it. When all of a bundle is done, so is each of its I/Os; when
 * it is not, each is issued again, alone, and what that comes to is its result. It is safe
 * to repeat: rows are locked, and their buffers are as they were.
 *
 * Where there is no bundle left, there is an I/O more. Cost: of what neither begins nor ends
 * at the border of a cell, two comparisons.
 */
#ifndef RINGRAID_RING_BUNDLE_H
#define RINGRAID_RING_BUNDLE_H

#include "../engine/engine.h"
#include "sqe.h"

enum {
	RR_OPCODE_READV_FIXED = 60,
	RR_OPCODE_WRITEV_FIXED = 61,
	RR_PAGE = 4096,
};

typedef struct rr_bundles __arena rr_bundles_t;
typedef struct rr_bundle __arena rr_bundle_t;
typedef struct rr_bundle_end __arena rr_bundle_end_t;

RR_STEP rr_bundles_t *rr_bundles_at(rr_array_t *a, rr_queue_t *q)
{
	return (rr_bundles_t *)rr_at(a,
				     a->bundles_offset + (rr_u64)q->id * sizeof(struct rr_bundles));
}

/* @number is one of a bundle, plus one. */
RR_STEP rr_bundle_t *rr_bundle_at(rr_bundles_t *all, rr_u32 number)
{
	return &all->bundle[(number - 1) & (RR_BUNDLES - 1)];
}

/* Its number, plus one; 0: all are in flight. */
RR_STEP rr_u32 rr_bundle_take(rr_bundles_t *all)
{
	rr_u32 number = all->free;

	if (number)
		all->free = rr_bundle_at(all, number)->next;
	else if (all->made < RR_BUNDLES)
		number = ++all->made;
	return number;
}

RR_STEP void rr_bundle_free(rr_bundles_t *all, rr_u32 number)
{
	rr_bundle_at(all, number)->next = all->free;
	all->free = number;
}

/* A turn begins: which of the actions to come are to be SQEs of their own. */
RR_STEP void rr_bundles_begin(rr_queue_t *q)
{
	q->bundling = 0;
	if ((rr_s32)(q->action_head - q->alone_until) > 0)
		q->alone_until = q->action_head;
}

/* A slot's I/O on a member. */
RR_STEP int rr_is_slot_io(rr_action_t *n)
{
	return n->act >= RR_ACT_READ && n->act <= RR_ACT_WRITE_FUA;
}

/* The action that has left its ring is to be an SQE of its own. */
RR_STEP int rr_is_alone(rr_queue_t *q)
{
	return (rr_s32)(q->action_head - q->alone_until) <= 0;
}

/* Where the address is in a cell. */
RR_STEP rr_u32 rr_in_cell(rr_array_t *a, rr_u64 address)
{
	return (rr_u32)(address - a->buffers_offset) & ((1U << a->cell_shift) - 1);
}

RR_STEP struct io_uring_sqe *rr_sqe_at(rr_u8 *sq, rr_u32 position)
{
	rr_u32 i = position & (RR_RING_SQ_ENTRIES - 1);

	return (struct io_uring_sqe *)(sq + ((rr_u64)i << rr_host_offsets()->sqe_shift));
}

/* Where the pieces of bundle @number are, for the kernel. */
RR_STEP rr_u64 rr_bundle_pieces(rr_array_t *a, rr_queue_t *q, rr_u32 number)
{
	return a->user_base + a->bundles_offset + (rr_u64)q->id * sizeof(struct rr_bundles) +
	       __builtin_offsetof(struct rr_bundles, bundle) +
	       (rr_u64)((number - 1) & (RR_BUNDLES - 1)) * sizeof(struct rr_bundle) +
	       __builtin_offsetof(struct rr_bundle, pieces);
}

/*
 * The action, which is out of its ring, goes with an SQE of this turn, that of end[role]: it
 * is a piece of the bundle now, the second one of a new one. 0: it does not.
 */
RR_FN int rr_bundle_add(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA,
			rr_action_t *n RR_ARG_ARENA)
{
	rr_bundles_t *all = rr_bundles_at(a, q);
	rr_u32 role = n->role & (RR_MEMBERS_MAX - 1);
	rr_bundle_end_t *e = &all->end[role];
	rr_bundle_t *b;
	rr_u32 i;

	if (rr_in_cell(a, n->address) || rr_is_alone(q) || e->act != n->act ||
	    e->position != n->position || e->bytes + n->length > a->read_cut << RR_SECTOR_SHIFT)
		return 0;
	if (!e->number) {
		e->number = rr_bundle_take(all);
		if (!e->number)
			return 0;
		b = rr_bundle_at(all, e->number);
		b->count = 1;
		b->pieces[0].bytes = e->bytes;
	}
	b = rr_bundle_at(all, e->number);
	i = b->count & (RR_BUNDLE_PIECES - 1);
	b->tokens[i] = n->token;
	b->pieces[i].base = a->user_base + n->address;
	b->pieces[i].bytes = n->length;
	b->count = i + 1;
	e->position += n->length;
	e->bytes += n->length;
	b->bytes = e->bytes;
	if (rr_in_cell(a, n->address + n->length) || b->count == RR_BUNDLE_PIECES)
		q->bundling &= ~(1U << role);
	return 1;
}

/* The SQE is that of the bundle, which has a piece more. */
RR_STEP void rr_sqe_bundle(struct io_uring_sqe *s, rr_array_t *a, rr_queue_t *q,
			   struct rr_ring *ring, rr_u32 number, rr_u32 length)
{
	rr_bundle_t *b = rr_bundle_at(rr_bundles_at(a, q), number);
	struct rr_nvme_command *c = (struct rr_nvme_command *)((rr_u8 *)s + 48);
	int is_nvme = rr_ring_is_nvme(rr_host_offsets());

	if (b->count == 2) {
		b->tokens[0] = s->user_data;
		s->user_data = rr_token(RR_TOKEN_BUNDLE, rr_token_role(s->user_data), number);
		if (is_nvme) {
			s->cmd_op = RR_NVME_URING_CMD_IO_VEC;
			b->pieces[0].base = c->addr;
			c->addr = rr_bundle_pieces(a, q, number);
		} else {
			s->opcode = s->opcode == RR_OPCODE_READ_FIXED ? RR_OPCODE_READV_FIXED
								      : RR_OPCODE_WRITEV_FIXED;
			b->pieces[0].base = s->addr;
			s->addr = rr_bundle_pieces(a, q, number);
		}
	}
	if (is_nvme) {
		c->data_len = b->count;
		c->cdw12 += length >> ring->lba_shift;
	} else {
		s->len = b->count;
	}
}

/* 1: the action is in an SQE of this turn. */
RR_STEP int rr_bundle_joins(rr_array_t *a, rr_queue_t *q, struct rr_ring *ring, rr_u8 *sq,
			    rr_action_t *n)
{
	rr_bundle_end_t *e;

	if (!(q->bundling >> (n->role & (RR_MEMBERS_MAX - 1)) & 1) || !rr_bundle_add(a, q, n))
		return 0;
	e = &rr_bundles_at(a, q)->end[n->role & (RR_MEMBERS_MAX - 1)];
	rr_sqe_bundle(rr_sqe_at(sq, e->sq), a, q, ring, e->number, n->length);
	return 1;
}

/* The action ends where others may join it: looked at before the call, as few do. */
RR_STEP int rr_bundle_ends_well(rr_array_t *a, rr_action_t *n)
{
	return rr_is_slot_io(n) && !rr_in_cell(a, n->address + n->length);
}

/* The action, which ends well, has become the newest SQE: others may join it. */
RR_FN int rr_bundle_opens(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA,
			  rr_action_t *n RR_ARG_ARENA)
{
	rr_u32 role = n->role & (RR_MEMBERS_MAX - 1);
	rr_bundle_end_t *e;

	if ((n->address & (RR_PAGE - 1)) || rr_is_alone(q))
		return 0;
	e = &rr_bundles_at(a, q)->end[role];
	e->position = n->position + n->length;
	e->bytes = n->length;
	e->sq = q->sq_tail - 1;
	e->number = 0;
	e->act = n->act;
	q->bundling |= 1U << role;
	return 0;
}

/* One I/O of a bundle that came to nothing. */
RR_STEP void rr_bundle_again(rr_array_t *a, rr_queue_t *q, rr_u64 token)
{
	if (rr_slot_reads_lost(a, q, token))
		rr_slot_complete(a, q, token, -RR_EIO);
	else
		rr_slot_emit(a, q, token);
}

RR_FN int rr_bundle_done(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 number,
			 rr_s32 res)
{
	rr_bundles_t *all = rr_bundles_at(a, q);
	rr_bundle_t *b = rr_bundle_at(all, number);
	rr_u32 count = b->count;
	int whole = rr_ring_is_nvme(rr_host_offsets()) ? !res : res == (rr_s32)b->bytes;
	rr_s32 i;

	rr_for (i, RR_BUNDLE_PIECES) {
		if ((rr_u32)i >= count)
			break;
		if (whole)
			rr_slot_complete(a, q, b->tokens[i & (RR_BUNDLE_PIECES - 1)],
					 RR_RESULT_WHOLE);
		else
			rr_bundle_again(a, q, b->tokens[i & (RR_BUNDLE_PIECES - 1)]);
	}
	if (!whole)
		q->alone_until = q->action_tail;
	rr_bundle_free(all, number);
	return 0;
}

#endif /* RINGRAID_RING_BUNDLE_H */
