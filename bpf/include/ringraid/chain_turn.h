/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One turn of the loop: completions in, steps, reads out.
 *
 * The same source runs in the kernel (chain.bpf.h: io_uring's wait loop) and in
 * user space (loader/chain/user_host.c: a plain loop), so that a comparison of
 * the two compares where the loop runs. The includer gives:
 *
 *   chain_host_offsets()             struct rr_ring_offsets of the ring
 *   chain_call_step(c, block, bytes) the step of the lookup
 *
 * Order in a turn: every completion is consumed and its block made ready; blocks
 * that are ready are looked at, hops_per_turn of them at most; reads are issued
 * from the line. Both lists are first in first out and a read that a step asks
 * for goes to the end of the line, so a long chain, or one that lives in the
 * cache, gets a hop when everybody else had one. bytes_most bounds what a ring
 * has under way, so that it does not fill the device's queue.
 *
 * What is checked here, for every read: the file is one that was opened, the
 * range is in it as it was then, the block fits the buffer. A read that brings
 * less than was asked met the end of a file that has shrunk: an error, and
 * never what the buffer held before.
 *
 * The application may write into all of this memory at any time. In the kernel
 * every access is confined to the arena or masked to the ring, so it harms itself.
 */
#ifndef RINGRAID_CHAIN_TURN_H
#define RINGRAID_CHAIN_TURN_H

#include "chain.h"
#include "ring.h"

enum chain_turn_verdict {
	CHAIN_TURN_WAIT = 0,
	CHAIN_TURN_AGAIN = 1,
	CHAIN_TURN_STOP = 2,
};

#define chain_ring_word(base, offset) (*(volatile rr_u32 *)((base) + (offset)))

RR_STEP chain_t *chain_at(chain_shared_t *s, rr_u32 n)
{
	return (chain_t *)((rr_u8 __arena *)s + s->lookups_offset +
			   (rr_u64)(n & (CHAIN_DEPTH_MAX - 1)) * sizeof(struct chain));
}

RR_STEP chain_part_t *chain_part_of(chain_t *c, rr_u32 item)
{
	return &c->part[item & (CHAIN_FAN_OUT - 1)];
}

RR_STEP rr_u64 chain_buffer(chain_shared_t *s, rr_u32 item)
{
	return s->buffers_offset +
	       ((rr_u64)(item / CHAIN_FAN_OUT) * s->fan_out + item % CHAIN_FAN_OUT) * s->stride;
}

RR_STEP rr_u16 __arena *chain_slot(chain_shared_t *s, chain_fifo_t *f, rr_u32 at)
{
	return (rr_u16 __arena *)((rr_u8 __arena *)s + f->offset) + (at & (CHAIN_ITEMS_MAX - 1));
}

RR_STEP void chain_push(chain_shared_t *s, chain_fifo_t *f, rr_u32 item)
{
	*chain_slot(s, f, f->tail) = item;
	f->tail++;
}

RR_STEP rr_u32 chain_pop(chain_shared_t *s, chain_fifo_t *f)
{
	rr_u32 item = *chain_slot(s, f, f->head);

	f->head++;
	return item & (CHAIN_ITEMS_MAX - 1);
}

RR_STEP chain_cached_t *chain_cached_at(chain_shared_t *s, rr_u32 entry)
{
	return (chain_cached_t *)((rr_u8 __arena *)s + s->cache_offset) + entry;
}

/* Two places for a block. */
RR_STEP rr_u32 chain_cache_place(chain_shared_t *s, rr_u32 file, rr_u64 offset, rr_u32 way)
{
	rr_u64 hash = (offset ^ (rr_u64)file << 56) * 0x9e3779b97f4a7c15ULL;

	return ((rr_u32)(hash >> 32) ^ way) & s->cache_mask;
}

RR_STEP rr_u32 chain_cache_find(chain_shared_t *s, chain_part_t *p)
{
	rr_u64 generation = *(volatile rr_u64 __arena *)&s->generation;
	rr_s32 way;

	rr_for (way, 2) {
		rr_u32 n = chain_cache_place(s, p->file, p->offset, way);
		chain_cached_t *e = chain_cached_at(s, n);

		if (e->valid && e->generation == generation && e->offset == p->offset &&
		    e->file == p->file && e->bytes == p->bytes)
			return n;
	}
	return CHAIN_NONE;
}

/*
 * A block that its step liked. The generation is the one from before the read: what
 * was read before the application raised it is never found after.
 */
RR_STEP void chain_cache_keep(chain_shared_t *s, const struct chain_cached *p,
			      const rr_u8 __arena *block)
{
	rr_u32 n = chain_cache_place(s, p->file, p->offset, 0);
	chain_cached_t *e = chain_cached_at(s, n);

	if (p->generation != s->generation)
		return;
	if (e->valid && e->generation == s->generation &&
	    (e->offset != p->offset || e->file != p->file)) {
		n = chain_cache_place(s, p->file, p->offset, 1);
		e = chain_cached_at(s, n);
	}
	e->offset = p->offset;
	e->bytes = p->bytes;
	e->file = p->file;
	e->generation = p->generation;
	e->valid = 1;
	chain_copy((rr_u8 __arena *)s + s->cached_offset + (rr_u64)n * s->cache_stride, block,
		   p->bytes);
	s->count.cache_fills++;
}

/* The reads that were asked for go to the end of the line. */
RR_STEP void chain_line_up(chain_shared_t *s, chain_t *c, rr_u32 lookup)
{
	rr_u32 wanted = c->wanted;
	rr_s32 i;

	c->wanted = 0;
	rr_for (i, CHAIN_FAN_OUT) {
		rr_u32 n = chain_lowest(wanted);

		if (!wanted)
			break;
		c->part[n].state = CHAIN_PART_WANTED;
		c->under_way++;
		chain_push(s, &s->line, lookup * CHAIN_FAN_OUT + n);
		wanted &= wanted - 1;
	}
}

RR_STEP void chain_finish(chain_t *c, rr_s32 error)
{
	if (!c->finished) {
		c->finished = 1;
		c->error = error;
	}
}

/* Where the lookup stands when nothing of it is under way: at its end, or at its beginning again.
 */
RR_FN int chain_settle(chain_shared_t *s RR_ARG_ARENA, rr_u32 lookup)
{
	chain_t *c = chain_at(s, lookup);

	if (c->under_way)
		return 0;
	if (c->restart && !c->finished) {
		int ret;

		c->restart = 0;
		c->busy = 0;
		c->wanted = 0;
		c->hop = 0;
		c->out_used = 0;
		ret = chain_read(c, c->first_file, c->first_offset, c->first_bytes, c->first_flags);
		if (ret)
			chain_finish(c, ret);
		else
			chain_line_up(s, c, lookup);
	} else if (!c->finished) {
		chain_finish(c, -CHAIN_EPROTO); /* asked for nothing, and not done */
	}
	if (c->finished == 1) {
		c->finished = 2;
		chain_push(s, &s->done, lookup);
	}
	return 0;
}

/* The step has spoken; what it asked for is not in line yet. */
RR_STEP void chain_judge(chain_shared_t *s, chain_t *c, rr_u32 part, rr_u32 bytes, int verdict)
{
	if (verdict == CHAIN_MORE)
		return;
	c->busy &= ~c->wanted;
	c->wanted = 0;
	if (verdict == CHAIN_AGAIN) {
		chain_part_t *p = &c->part[part & (CHAIN_FAN_OUT - 1)];

		s->count.again++;
		if (++c->again > CHAIN_RESTARTS_MAX) {
			chain_finish(c, -CHAIN_EILSEQ);
			return;
		}
		c->hop--;
		c->busy |= 1U << part;
		c->wanted = 1U << part;
		p->offset = c->offset;
		p->bytes = bytes;
		p->file = c->file;
		p->flags = c->flags;
		p->tag = c->tag;
		p->tries = 0;
		p->fresh = 1;
	} else if (verdict == CHAIN_RESTART) {
		s->count.restarts++;
		c->restart = 1;
		if (++c->restarts > CHAIN_RESTARTS_MAX)
			chain_finish(c, -CHAIN_ESTALE);
	} else {
		chain_finish(c, verdict < 0 ? verdict : 0);
	}
}

/*
 * Shows a block to its step. The part is free meanwhile, so that a chain of one
 * read after the other needs one buffer: what the step asks for is read later.
 */
RR_STEP void chain_hop(chain_shared_t *s, chain_t *c, chain_part_t *p, rr_u32 item)
{
	struct chain_cached at = { p->offset, p->generation, p->bytes, p->file, p->flags, 0 };
	rr_u32 cached = p->cached;
	chain_block_t *block;
	int verdict;

	if (cached == CHAIN_NONE)
		block = (rr_u8 __arena *)s + chain_buffer(s, item) + p->lead;
	else
		block = (rr_u8 __arena *)s + s->cached_offset + (rr_u64)cached * s->cache_stride;
	c->offset = at.offset;
	c->file = at.file;
	c->flags = p->flags;
	c->tag = p->tag;
	verdict = chain_call_step(c, block, at.bytes);
	s->count.hops++;
	c->hops++;
	c->hop++;
	if ((verdict == CHAIN_MORE || verdict == CHAIN_DONE) && at.valid & CHAIN_KEEP &&
	    cached == CHAIN_NONE && s->cache_blocks)
		chain_cache_keep(s, &at, block);
	chain_judge(s, c, item % CHAIN_FAN_OUT, at.bytes, verdict);
}

/* The oldest block that is ready. */
RR_FN int chain_look(chain_shared_t *s RR_ARG_ARENA)
{
	rr_u32 item = chain_pop(s, &s->ready);
	rr_u32 lookup = item / CHAIN_FAN_OUT;
	chain_t *c = chain_at(s, lookup);
	chain_part_t *p = chain_part_of(c, item);

	/* Another block may have taken its place in the cache, or the generation is over. */
	if (p->cached != CHAIN_NONE && !p->result && p->cached != chain_cache_find(s, p)) {
		p->state = CHAIN_PART_WANTED;
		p->fresh = 1;
		chain_push(s, &s->line, item);
		return 0;
	}
	p->state = CHAIN_PART_FREE;
	c->busy &= ~(1U << (item % CHAIN_FAN_OUT));
	c->under_way--;
	if (!c->finished && !c->restart) {
		if (p->result)
			chain_finish(c, p->result);
		else if (c->hops >= c->hops_max)
			chain_finish(c, -CHAIN_ELOOP);
		else
			chain_hop(s, c, p, item);
		chain_line_up(s, c, lookup);
	}
	return c->under_way ? 0 : chain_settle(s, lookup);
}

/* Whether the read can be at all: of a file that is there, within it. */
RR_STEP int chain_place_read(chain_shared_t *s, chain_part_t *p)
{
	struct chain_file __arena *f = &s->file[p->file & (CHAIN_FILES_MAX - 1)];
	rr_u64 align = (1ULL << (f->align_shift & 31)) - 1;

	if (p->file >= s->files)
		return -CHAIN_EBADF;
	if (p->offset > f->bytes || p->bytes > f->bytes - p->offset)
		return -CHAIN_ERANGE;
	p->lead = p->offset & align;
	p->length = (p->lead + p->bytes + align) & ~align;
	return p->length > s->stride ? -CHAIN_E2BIG : 0;
}

RR_STEP void chain_fill(chain_shared_t *s, chain_part_t *p, rr_u32 item, rr_u8 *sq)
{
	const volatile struct rr_ring_offsets *at = chain_host_offsets();
	struct chain_file __arena *f = &s->file[p->file & (CHAIN_FILES_MAX - 1)];
	rr_u32 i = s->sq_tail & (CHAIN_SQ_ENTRIES - 1);
	rr_u64 *w = (rr_u64 *)(sq + ((rr_u64)i << at->sqe_shift));
	struct io_uring_sqe *e = (struct io_uring_sqe *)w;
	rr_u64 offset = p->offset - p->lead;
	rr_u64 address = s->base + chain_buffer(s, item);

	w[0] = w[1] = w[2] = w[3] = w[4] = w[5] = w[6] = w[7] = 0;
	e->flags = 1 << 0; /* IOSQE_FIXED_FILE */
	e->fd = p->file;
	e->buf_index = 0;
	e->user_data = item;
	if (rr_ring_is_nvme(at))
		w[8] = w[9] = w[10] = w[11] = w[12] = w[13] = w[14] = w[15] = 0;
	if (rr_ring_is_nvme(at) && f->nsid) {
		struct nvme_uring_cmd *n = (struct nvme_uring_cmd *)((rr_u8 *)e + 48);
		rr_u64 lba = offset >> (f->lba_shift & 31);

		e->opcode = IORING_OP_URING_CMD;
		e->cmd_op = NVME_URING_CMD_IO;
		e->uring_cmd_flags = 1 << 0; /* IORING_URING_CMD_FIXED */
		n->opcode = 2;		     /* read */
		n->nsid = f->nsid;
		n->addr = address;
		n->data_len = p->length;
		n->cdw10 = (rr_u32)lba;
		n->cdw11 = (rr_u32)(lba >> 32);
		n->cdw12 = (p->length >> (f->lba_shift & 31)) - 1;
		return;
	}
	e->opcode = IORING_OP_READ_FIXED;
	e->addr = address;
	e->len = p->length;
	e->off = offset;
}

RR_STEP void chain_ready(chain_shared_t *s, chain_part_t *p, rr_u32 item, rr_s32 result)
{
	p->result = result;
	p->state = CHAIN_PART_READY;
	chain_push(s, &s->ready, item);
}

/*
 * The first read in line. 0: it is out of the line; else it has to wait until others
 * are back.
 */
RR_STEP int chain_issue(chain_shared_t *s, rr_u8 *sq)
{
	rr_u32 item = *chain_slot(s, &s->line, s->line.head) & (CHAIN_ITEMS_MAX - 1);
	chain_t *c = chain_at(s, item / CHAIN_FAN_OUT);
	chain_part_t *p = chain_part_of(c, item);
	int ret = c->finished || c->restart ? -CHAIN_EINTR : chain_place_read(s, p);

	p->cached = CHAIN_NONE;
	if (!ret && p->flags & CHAIN_KEEP && s->cache_blocks && !p->fresh && !c->restarts) {
		p->cached = chain_cache_find(s, p);
		if (p->cached != CHAIN_NONE)
			s->count.cache_hits++;
	}
	if (ret || p->cached != CHAIN_NONE) {
		s->line.head++;
		chain_ready(s, p, item, ret);
		return 0;
	}
	if (s->in_flight && s->bytes_in_flight + p->length > s->bytes_most)
		return 1;
	s->line.head++;
	p->generation = *(volatile rr_u64 __arena *)&s->generation;
	p->state = CHAIN_PART_FLIGHT;
	chain_fill(s, p, item, sq);
	s->sq_tail++;
	s->in_flight++;
	s->bytes_in_flight += p->length;
	s->count.reads++;
	s->count.bytes += p->length;
	c->reads++;
	return 0;
}

/* The result of a read as 0 or -errno; 1: read once more. */
RR_STEP int chain_result(chain_shared_t *s, chain_part_t *p, rr_s32 res)
{
	if (s->file[p->file & (CHAIN_FILES_MAX - 1)].nsid && res >= 0)
		res = res ? -CHAIN_EIO : (rr_s32)p->length;
	if (res >= (rr_s32)(p->lead + p->bytes))
		return 0;
	if (res >= 0) {
		/* Cut short by a signal or a worker, perhaps; twice in a row is the end. */
		p->tries++;
		return p->tries > 1 ? -CHAIN_ENODATA : 1;
	}
	if ((res == -CHAIN_EAGAIN || res == -CHAIN_EINTR) && ++p->tries < CHAIN_TRIES_MAX)
		return 1;
	return res;
}

RR_STEP void chain_complete(chain_shared_t *s, rr_u64 user_data, rr_s32 res)
{
	rr_u32 item = user_data & (CHAIN_ITEMS_MAX - 1);
	chain_part_t *p = chain_part_of(chain_at(s, item / CHAIN_FAN_OUT), item);
	int ret;

	if (p->state != CHAIN_PART_FLIGHT)
		return;
	s->in_flight--;
	s->bytes_in_flight -= p->length;
	ret = chain_result(s, p, res);
	if (ret > 0) {
		s->count.tries++;
		p->state = CHAIN_PART_WANTED;
		p->fresh = 1;
		chain_push(s, &s->line, item);
		return;
	}
	chain_ready(s, p, item, ret);
}

RR_STEP void chain_completions(chain_shared_t *s, rr_u8 *cq)
{
	const volatile struct rr_ring_offsets *at = chain_host_offsets();
	rr_u32 head = chain_ring_word(cq, at->cq_head);
	rr_u32 come = chain_ring_word(cq, at->cq_tail) - head;
	rr_s32 i;

	if (come > CHAIN_CQ_ENTRIES)
		come = CHAIN_CQ_ENTRIES;
	rr_for (i, come) {
		rr_u32 n = (head + i) & (CHAIN_CQ_ENTRIES - 1);
		volatile rr_u64 *cqe =
			(volatile rr_u64 *)(cq + at->cqes + ((rr_u64)n << at->cqe_shift));

		chain_complete(s, cqe[0], (rr_s32)cqe[1]);
	}
	chain_ring_word(cq, at->cq_head) = head + come;
}

RR_STEP void chain_submissions(chain_shared_t *s, rr_u8 *sq, rr_u8 *cq)
{
	const volatile struct rr_ring_offsets *at = chain_host_offsets();
	rr_u32 room;
	rr_s32 i;

	s->sq_tail = chain_ring_word(cq, at->sq_tail);
	room = CHAIN_SQ_ENTRIES - (s->sq_tail - chain_ring_word(cq, at->sq_head));
	if (room > CHAIN_SQ_ENTRIES)
		room = 0;
	rr_for (i, CHAIN_ITEMS_MAX) {
		rr_u32 before = s->sq_tail;

		if (s->line.head == s->line.tail || !room || chain_issue(s, sq))
			break;
		room -= s->sq_tail != before;
	}
	chain_ring_word(cq, at->sq_tail) = s->sq_tail;
}

/*
 * Completions to sleep for. Each of the lookups that are waited for needs one more,
 * so that many may come together; half of what is under way, so that the device has
 * something to do meanwhile.
 */
RR_STEP rr_u32 chain_gather(chain_shared_t *s, rr_u32 missing)
{
	rr_u32 most = s->gather ? s->gather : (s->in_flight + 1) / 2;

	if (most > missing)
		most = missing;
	if (most > s->in_flight)
		most = s->in_flight;
	return most ? most : 1;
}

RR_STEP int chain_turn(chain_shared_t *s, rr_u8 *sq, rr_u8 *cq)
{
	rr_u32 ended;
	rr_s32 i;

	s->count.turns++;
	rr_for (i, CHAIN_DEPTH_MAX) {
		rr_u32 lookup;

		if (s->fresh.head == s->fresh.tail)
			break;
		lookup = chain_pop(s, &s->fresh) & (CHAIN_DEPTH_MAX - 1);
		chain_at(s, lookup)->restart = 1;
		chain_settle(s, lookup);
	}
	chain_completions(s, cq);
	rr_for (i, s->hops_per_turn) {
		if (s->ready.head == s->ready.tail)
			break;
		chain_look(s);
	}
	chain_submissions(s, sq, cq);
	ended = s->done.tail - s->done.head;
	if (s->poll) {
		s->poll = 0;
		return CHAIN_TURN_AGAIN;
	}
	if (ended >= s->want)
		return CHAIN_TURN_STOP;
	if (s->ready.head != s->ready.tail)
		return CHAIN_TURN_AGAIN;
	if (!s->in_flight)
		return s->line.head == s->line.tail ? CHAIN_TURN_STOP : CHAIN_TURN_AGAIN;
	s->wait = chain_gather(s, s->want - ended);
	return CHAIN_TURN_WAIT;
}

#endif /* RINGRAID_CHAIN_TURN_H */
