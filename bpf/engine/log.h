/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The partial parity log: no row is written before the log of its parity's member has
 * what parity can be made of again.
 *
 *   write:  LOCK -> READ -> partial parity -> LOG -> COPY_IN -> WRITE
 *
 * A power cut between two member writes of a row leaves parity that is not that of its
 * data; if then a member is missing, blocks that nobody was writing are lost. Partial
 * parity is the XOR of the blocks of the row that the write leaves alone. It is durable
 * first, so parity can be made of it and of what the written blocks hold, old or new. The
 * format is md's (loader/md/ppl.h).
 *
 * Its place is the buffer of parity. RMW: the old parity with the old data taken out.
 * Else: the blocks that are not written, and those parts. What is folded in afterwards,
 * as ever, makes it parity.
 *
 * The log's writer is a thread of the daemon (loader/engine/log_writer.h; why:
 * docs/decisions/0035): a slot in phase LOG stands in its queue's log_ask[], and the
 * writer takes what stands there in all queues' into one unit for each member, one unit at
 * a time. It answers in log_answer[], with a share of the unit (RR_LOG_SHARE) or without:
 *
 *   with      the unit is durable. log_open of the role counts the shares; the unit's place
 *             is used again when they are all given back, and not before
 *   without   the row has no log: parity's member is out
 *
 * When a share is given back the rows are durable, as writes of who has one are FUA where
 * a member has a cache that can lose them. Acknowledgements do not wait for the others of
 * the unit. A plan that is made again gives its share back first, or it would wait for
 * itself.
 *
 * The writer answers nobody while a failure is not in the superblocks, and ends no unit:
 * after a power cut then the member would be back, with old blocks in rows that no log
 * tells of. So a write without a log comes here as well while one is not.
 *
 * A missing member that is written together with others (`later`). Its row could not be
 * recovered, and the block that it is to get would be garbage. So the others are written
 * first, as if it were left alone; then it, and that is parity alone: each sector of it is
 * the old one or the new. The same of a member that is being rebuilt: the superblocks may
 * say less of it than job.frontier.
 * A member that fails when its row is being written was not known to be missing. If that is
 * in the superblocks, and the power goes, before the others have theirs, its blocks of that
 * write may be neither; the unit names them, and so does a start.
 *
 * Every parity that is written is logged, a repair's too, as a whole row, without partial
 * parity: what is in the newest unit is done again after a power cut, and would undo it.
 * What is written of data alone, with what it held, is not.
 *
 * A kill costs nothing: LOG is no record to redo. A successor writes again what was in
 * WRITE, and begins with empty logs.
 */
#ifndef RINGRAID_ENGINE_LOG_H
#define RINGRAID_ENGINE_LOG_H

#include "slot.h"

/* Rows of this slot's write go to a log, or may not be written yet. */
RR_STEP int rr_log_wants(rr_array_t *a, rr_slot_t *s)
{
	if (!a->log_roles)
		return 0;
	return (s->write_mask & a->log_roles & 1U << s->parity) || rr_promise(a) != RR_PROMISE_KEPT;
}

/* The slot stands before the log; rr_settle() takes it there, in this turn. */
RR_STEP void rr_log_enter(rr_array_t *a, rr_queue_t *q, rr_u32 slot)
{
	rr_store(rr_slot_at(a, q, slot)->phase, RR_PHASE_LOG);
	rr_slot_push(a, q, &q->log_wait, slot);
}

/* parity ^= what the hull has of @role and is not written: before and behind, or between. */
RR_FN int rr_log_take_rest(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot,
			   rr_u32 role)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 r = role & (RR_MEMBERS_MAX - 1);
	rr_u32 lo = s->lo, hi = s->hi;
	rr_u32 from = hi, to = hi;
	rr_u64 parity = rr_buffer(a, q, slot, s->parity);
	rr_u64 data = rr_buffer(a, q, slot, r);
	rr_u32 run;
	rr_u64 at;

	if (s->data_mask & s->gaps & 1U << r) {
		rr_for_runs (run, rr_lock_mask(a, lo, hi) & ~s->units[r]) {
			at = (rr_u64)rr_lowest_bit(run) << a->unit_shift;
			rr_xor(a, parity + at, data + at,
			       rr_count_bits(run) << (a->unit_shift - RR_SECTOR_SHIFT));
		}
		return 0;
	}
	if (s->data_mask >> r & 1) {
		from = s->from[r];
		to = s->to[r];
	}
	rr_xor(a, parity + ((rr_u64)lo << RR_SECTOR_SHIFT), data + ((rr_u64)lo << RR_SECTOR_SHIFT),
	       from - lo);
	rr_xor(a, parity + ((rr_u64)to << RR_SECTOR_SHIFT), data + ((rr_u64)to << RR_SECTOR_SHIFT),
	       hi - to);
	rr_count(q, xor_bytes, (rr_u64)(from - lo + hi - to) << RR_SECTOR_SHIFT);
	return 0;
}

/* The buffer of parity = XOR of what the hull has of data that is not written. */
RR_FN int rr_log_sum(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u64 parity = rr_buffer(a, q, slot, s->parity) + ((rr_u64)s->lo << RR_SECTOR_SHIFT);
	rr_u32 data = rr_all_roles(a) & ~(1U << s->parity);
	rr_u32 alone = data & ~s->data_mask;
	rr_u32 role;

	if (rr_count_bits(alone) > 1) {
		rr_slot_xor(a, q, slot, s->parity, alone);
		data &= ~alone;
	} else {
		rr_xor_set2(a, parity, parity, parity, s->hi - s->lo);
	}
	rr_for_roles (role, data)
		rr_log_take_rest(a, q, slot, role);
	return 0;
}

/* Partial parity, of what was read. */
RR_FN int rr_log_partial(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);

	if (s->plan == RR_PLAN_RMW) {
		rr_slot_fold(a, q, slot);
	} else {
		if (s->plan == RR_PLAN_RECON)
			rr_slot_xor(a, q, slot, s->lost, rr_all_roles(a) & ~(1U << s->lost));
		if (rr_slot_partial(a, s)) {
			rr_log_sum(a, q, slot);
			/* Else it is less to compute parity anew. */
			if (2 * rr_count_bits(s->data_mask) < a->geometry.members)
				s->log |= RR_LOG_FOLDS;
		}
	}
	s->log |= RR_LOG_PARTIAL;
	return 0;
}

/* The slot is seen by the writer. */
RR_STEP void rr_log_ask(rr_queue_t *q, rr_u32 slot)
{
	q->log_ask[q->log_asked & (RR_SLOTS_MAX - 1)] = slot;
	rr_compiler_barrier();
	rr_store(q->log_asked, q->log_asked + 1);
	q->log_news = 1;
	q->tick_wanted = 1;
}

/* Slots that have come to the log. */
RR_FN int rr_log_waiters(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA)
{
	rr_u32 slot;
	rr_s32 i;

	rr_for (i, RR_SLOTS_MAX) {
		slot = rr_slot_pop(a, q, &q->log_wait);
		if (slot == RR_NIL)
			break;
		if (rr_slot_at(a, q, slot)->op != RR_OP_JOB &&
		    rr_slot_at(a, q, slot)->plan != RR_PLAN_PAYLOAD)
			rr_log_partial(a, q, slot);
		rr_log_ask(q, slot);
	}
	return 0;
}

/* The slot's answer is there. */
RR_FN int rr_log_done(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);

	if (s->op != RR_OP_JOB)
		return rr_slot_enter_copy(a, q, slot, RR_PHASE_COPY_IN);
	if (rr_state_epoch(rr_load(a->state)) != s->epoch || (rr_load(a->state) & RR_STATE_BROKEN))
		return rr_slot_finish(a, q, slot, -RR_ECANCELED);
	rr_slot_enter(a, q, slot, RR_PHASE_WRITE, s->write_mask);
	return 0;
}

/* The queue was told to look, or does by itself. */
RR_FN int rr_log_look(rr_array_t *a RR_ARG_ARENA, rr_queue_t *q RR_ARG_ARENA)
{
	rr_u32 answered = rr_load(q->log_answered);
	rr_u32 seen;
	rr_s32 i;

	rr_for (i, RR_SLOTS_MAX) {
		seen = q->log_seen;
		if (seen == answered)
			break;
		q->log_seen = seen + 1;
		rr_log_done(a, q, q->log_answer[seen & (RR_SLOTS_MAX - 1)]);
	}
	/* A message to us, or ours to the writer, may be lost. */
	if (q->log_asked != q->log_seen) {
		q->log_news = 1;
		q->tick_wanted = 1;
	}
	return 0;
}

/*
 * 1: the writer has to be woken. It says that it sleeps and then looks once more; here is
 * what it looks for, and then whether it sleeps.
 */
RR_STEP int rr_log_wakes(rr_array_t *a, rr_queue_t *q)
{
	q->log_news = 0;
	return !rr_load_fenced(a->log_awake);
}

#endif /* RINGRAID_ENGINE_LOG_H */
