/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where things are in the arena, and the three list shapes in it.
 *
 * Everything is an offset from the header plus an index times a stride. The
 * engine does not check indices against memory bounds: under BPF an arena
 * access cannot leave the arena (an unmapped page reads 0 and is reported),
 * on a host the arena is trusted memory of the same process.
 */
#ifndef RINGRAID_ENGINE_ARENA_H
#define RINGRAID_ENGINE_ARENA_H

#include "../include/ringraid/abi.h"

typedef struct rr_array __arena rr_array_t;
typedef struct rr_queue __arena rr_queue_t;
typedef struct rr_request __arena rr_request_t;
typedef struct rr_slot __arena rr_slot_t;
typedef struct rr_lock __arena rr_lock_t;
typedef struct rr_action __arena rr_action_t;
typedef struct rr_fifo __arena rr_fifo_t;
typedef struct rr_member __arena rr_member_t;

#define RR_NO_ROLE 0xff

/*
 * What a host may keep elsewhere than in the arena, for a successor of another
 * version: the counters, and the limits that can be set while it runs.
 */
#ifndef rr_count
#define rr_count(q, counter, n) ((void)((q)->count.counter += (n)))
#endif
#ifndef rr_retries_max
#define rr_retries_max() RR_RETRIES_MAX
#endif
#ifndef rr_tick_ms
#define rr_tick_ms() RR_TICK_MS
#endif

/*
 * Words that threads share are touched by these alone. Before each of them
 * another thread may have done something: a test puts that there.
 */
#ifndef rr_interleave
#define rr_interleave() ((void)0)
#endif

/* A load that the compiler may neither repeat nor leave out. */
#define rr_load(x) (rr_interleave(), *(volatile typeof(x) *)&(x))
#define rr_store(x, v)                                                                             \
	do {                                                                                       \
		rr_interleave();                                                                   \
		*(volatile typeof(x) *)&(x) = (v);                                                 \
	} while (0)

/* Full barriers, these three. */
#define rr_swap_if(x, old, next) (rr_interleave(), __sync_val_compare_and_swap(&(x), old, next))
#define rr_fetch_add(x, n)	 (rr_interleave(), __sync_fetch_and_add(&(x), n))
/* (BPF has no fetch-or on an arena, which "add 0" becomes.) */
#define rr_load_fenced(x) rr_swap_if(x, 0, 0)

RR_STEP char __arena *rr_at(rr_array_t *a, rr_u64 offset)
{
	return (char __arena *)a + offset;
}

RR_STEP rr_queue_t *rr_queue_at(rr_array_t *a, rr_u32 id)
{
	return (rr_queue_t *)rr_at(a, a->queues_offset + (rr_u64)id * sizeof(struct rr_queue));
}

RR_STEP rr_request_t *rr_request_at(rr_array_t *a, rr_queue_t *q, rr_u32 tag)
{
	rr_u64 index = (rr_u64)q->id * a->depth + tag;

	return (rr_request_t *)rr_at(a, a->requests_offset + index * sizeof(struct rr_request));
}

RR_STEP rr_slot_t *rr_slot_at(rr_array_t *a, rr_queue_t *q, rr_u32 slot)
{
	rr_u64 index = (rr_u64)q->id * a->slots + slot;

	return (rr_slot_t *)rr_at(a, a->slots_offset + index * sizeof(struct rr_slot));
}

RR_STEP rr_lock_t *rr_lock_at(rr_array_t *a, rr_u32 lock)
{
	return (rr_lock_t *)rr_at(a, a->locks_offset + (rr_u64)lock * sizeof(struct rr_lock));
}

RR_STEP rr_u32 __arena *rr_region_at(rr_array_t *a, rr_u32 region)
{
	return (rr_u32 __arena *)rr_at(a, a->regions_offset + (rr_u64)region * sizeof(rr_u32));
}

RR_STEP rr_u32 rr_region_of_cell(rr_array_t *a, rr_u64 cell)
{
	return (rr_u32)(cell >> (a->region_shift + a->geometry.chunk_shift + RR_SECTOR_SHIFT -
				 a->cell_shift));
}

RR_STEP rr_action_t *rr_action_at(rr_array_t *a, rr_queue_t *q, rr_u32 position)
{
	rr_u64 index = (rr_u64)q->id * a->actions + (position & (a->actions - 1));

	return (rr_action_t *)rr_at(a, a->actions_offset + index * sizeof(struct rr_action));
}

/* Byte offset in the arena of a slot's cell for @role. */
RR_STEP rr_u64 rr_buffer(rr_array_t *a, rr_queue_t *q, rr_u32 slot, rr_u32 role)
{
	rr_u64 index = ((rr_u64)q->id * a->slots + slot) * a->geometry.members + role;

	return a->buffers_offset + (index << a->cell_shift);
}

RR_STEP rr_u32 rr_all_roles(rr_array_t *a)
{
	return (1U << a->geometry.members) - 1;
}

RR_STEP rr_u32 rr_state_epoch(rr_u64 state)
{
	return (rr_u32)(state >> RR_STATE_EPOCH_SHIFT);
}

/* The role out of use, or RR_NO_ROLE. At most one is: a second failure breaks the array. */
RR_STEP rr_u32 rr_state_missing(rr_u64 state)
{
	rr_u32 mask = state & RR_STATE_MISSING;
	rr_u32 role = 0;

	if (!mask)
		return RR_NO_ROLE;
	if (mask & 0xff00)
		role += 8, mask >>= 8;
	if (mask & 0xf0)
		role += 4, mask >>= 4;
	if (mask & 0xc)
		role += 2, mask >>= 2;
	return role + (mask >> 1 & 1);
}

RR_STEP void rr_request_push(rr_array_t *a, rr_queue_t *q, rr_fifo_t *f, rr_u32 tag)
{
	rr_request_at(a, q, tag)->next = RR_NIL;
	if (f->head == RR_NIL)
		f->head = tag;
	else
		rr_request_at(a, q, f->tail)->next = tag;
	f->tail = tag;
}

RR_STEP rr_u32 rr_request_pop(rr_array_t *a, rr_queue_t *q, rr_fifo_t *f)
{
	rr_u32 tag = f->head;

	if (tag != RR_NIL)
		f->head = rr_request_at(a, q, tag)->next;
	return tag;
}

RR_STEP void rr_slot_push(rr_array_t *a, rr_queue_t *q, rr_fifo_t *f, rr_u32 slot)
{
	rr_slot_at(a, q, slot)->next = RR_NIL;
	if (f->head == RR_NIL)
		f->head = slot;
	else
		rr_slot_at(a, q, f->tail)->next = slot;
	f->tail = slot;
}

RR_STEP rr_u32 rr_slot_pop(rr_array_t *a, rr_queue_t *q, rr_fifo_t *f)
{
	rr_u32 slot = f->head;

	if (slot != RR_NIL)
		f->head = rr_slot_at(a, q, slot)->next;
	return slot;
}

/*
 * The action ring: what the host has to do, in order. It is sized for all that
 * a queue can have in flight at once (rr_layout), so it cannot overflow.
 */
RR_STEP void rr_emit(rr_array_t *a, rr_queue_t *q, rr_u32 act, rr_u32 role, rr_u32 tag,
		     rr_u64 token, rr_u64 position, rr_u64 address, rr_u32 length)
{
	rr_action_t *n = rr_action_at(a, q, q->action_tail);

	n->token = token;
	n->position = position;
	n->address = address;
	n->length = length;
	n->tag = tag;
	n->act = act;
	n->role = role;
	q->action_tail++;
}

#endif /* RINGRAID_ENGINE_ARENA_H */
