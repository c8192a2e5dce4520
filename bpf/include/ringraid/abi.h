/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The arena: everything the engine and the control plane share.
 *
 * One block of memory, pinned, that outlives the daemon. The loader lays it
 * out once (loader/engine/layout), from the geometry and the options, and
 * touches every page; afterwards nothing in it is allocated. References are
 * byte offsets from its start or small indices, never pointers, so that the
 * kernel, the daemon and its successor read the same bytes:
 *
 *   rr_array            this header: geometry, limits, members, state
 *   rr_life             whose arena it is (life.h), for the control plane only
 *   u32[regions]        what is known of each region (engine/region.h)
 *   rr_latencies[queues] how long requests took (ring/latency.h), written by that queue only
 *   rr_queue[queues]    one per ublk queue, written by that queue only
 *   rr_request[...]     one per tag of each queue
 *   rr_slot[...]        one per row operation of each queue
 *   rr_lock[RR_LOCKS]   the row locks, shared by all queues
 *   rr_action[...]      per queue, a ring of what the host has to do
 *   buffers             per slot, one cell for each member
 *
 * A *cell* is the unit of parity work: the same range of one chunk on every
 * member, at most 64 KiB. A *slot* is one operation on one cell. A *unit* is
 * 1/16 of a cell and the grain of row locks.
 *
 * Ownership: q->* and what hangs on it belongs to the queue's thread. Shared
 * and atomic: rr_array.state, suspects and log_open, rr_lock, the regions, rr_member.corrected.
 * Written by the control plane only: rr_array.durable_epoch, park, well and region_era, the
 * orders in rr_array.job, and the header before service.
 *
 * The arena doubles as the redo log of a daemon that dies: a slot whose phase
 * is RR_PHASE_WRITE holds in its buffers all that its member writes carry
 * (write_mask, units[], from[], to[], cell), and a successor writes it again; or all of it is
 * zeros (RR_ZERO_ROWS). A replacement gets what the member that it replaces gets, from the same
 * buffer.
 */
#ifndef RINGRAID_ABI_H
#define RINGRAID_ABI_H

#include "geometry.h"

#define RR_ABI_MAGIC 0x3144494152474e52ULL /* "RNGRAID1" */

enum {
	RR_ABI_VERSION = 11,
	RR_QUEUES_MAX = 16,
	RR_DEPTH_MAX = 256,
	RR_SLOTS_MAX = 256,
	RR_SLOT_BITS = 8,
	RR_LOCKS = 4096,
	RR_REGIONS_MAX = 65536,
	RR_REGION_BLOCKS = 64, /* bits of rr_array.regions_asked */
	RR_CELL_BYTES_MAX = 65536,
	RR_CELLS_MAX = 16, /* cells in a chunk */
	RR_UNITS_MAX = 16, /* lock units in a cell */
	RR_NIL = 0xffff,
	RR_SECTOR_SHIFT = 9,
	RR_RETRY_RING = 1024,
	RR_KEPT_PLACES = 256,
	RR_PARTS_MAX = 128, /* copies of one operation */
	/* A rider (rr_slot.more, behind) is a tag; or, and so much more, a slot: its ticket. */
	RR_TICKET = 256,
	RR_BUNDLES = 64, /* of a queue, in flight */
	RR_BUNDLE_PIECES = 16,
	RR_JOB_WINDOW = 64, /* cells of a job between its first unfinished one and its next */
	RR_JOB_NOTES = 64,  /* wrong rows that a job remembers */
	RR_RETRIES_MAX = 1000,
	RR_TICK_MS = 10,
};

/*
 * The most that rr_retries_max() may be, for the 16 bits of a `retries`: one
 * try can add an eighth of it (rr_patience). A text in KV_RANGE(): a number.
 */
#define RR_RETRIES_LIMIT 50000
RR_STATIC_ASSERT(RR_RETRIES_LIMIT + RR_RETRIES_LIMIT / 8 <= 0xffff, "or it never ends");

/* Why a queue's program returned to its thread: rr_queue.stop_reason. */
enum rr_stop {
	RR_STOP_ENDED = 0,  /* ublk has taken back every tag */
	RR_STOP_PARKED = 1, /* nothing is in flight but the wait for clients */
};

/* rr_array.state is one word, so that a plan sees one consistent state. */
#define RR_STATE_MISSING     0xffffULL	  /* mask of roles that are not in use */
#define RR_STATE_BROKEN	     (1ULL << 16) /* a second member failed: no writes */
#define RR_STATE_REBUILD     (1ULL << 17) /* what is missing is there up to job.frontier */
#define RR_STATE_RESYNC	     (1ULL << 18) /* parity is right up to job.frontier only */
#define RR_STATE_REPLACE     (1ULL << 19) /* rr_array.replaced has a replacement */
#define RR_STATE_EPOCH_SHIFT 32		  /* counts failures since the start */

#define RR_SUSPECT_COUNT (1ULL << 32) /* of rr_array.suspects */

/* Nothing is in @role's place. What is being rebuilt is written, flushed and lost like a member. */
RR_STEP int rr_state_is_out(rr_u64 state, rr_u32 role)
{
	return (state >> (role & (RR_MEMBERS_MAX - 1)) & 1) && !(state & RR_STATE_REBUILD);
}

/*
 * A replacement becomes a copy of a member that is there. It has no role, and the index
 * behind them all: rr_geometry.members. An array of RR_MEMBERS_MAX has no room for one.
 */
RR_STEP rr_u32 rr_replacement_bit(rr_u32 members)
{
	return members < RR_MEMBERS_MAX ? 1U << members : 0;
}

/* A region: rows that share what the write-intent bitmap says of them (engine/region.h). */
enum rr_region_flags {
	RR_REGION_SET = 1 << 0,	    /* its bits are durable on all members: it may be written */
	RR_REGION_TOUCHED = 1 << 1, /* and was since somebody looked */
	RR_REGION_ASKED = 1 << 2,   /* a write waits until it is set */
	RR_REGION_NEEDED = 1 << 3,  /* a resync, or a rebuild by region, has to do it */
};

struct rr_member {
	rr_u64 data_offset; /* sectors */
	rr_s32 error;	    /* errno that failed it, 0 = none */
	rr_u32 corrected;   /* sectors that no client could be given, and were rewritten */
	rr_u64 flushed[RR_QUEUES_MAX]; /* rr_queue.written that a flush covers */
};

/* Work on the rows of the array beside its clients': engine/job.h. */
enum rr_job_kind {
	RR_JOB_NONE = 0,
	RR_JOB_CHECK = 1,   /* read all, compare; rewrite what cannot be read */
	RR_JOB_REPAIR = 2,  /* and where it is wrong make parity from the data */
	RR_JOB_RESYNC = 3,  /* as repair, of rows whose parity means nothing */
	RR_JOB_REBUILD = 4, /* what is missing, onto the device that has its place */
	RR_JOB_REPLACE = 5, /* a member that is there, onto its replacement */
};

struct rr_job {
	/* The control plane's orders. */
	rr_u32 kind;	/* set last; and not changed before `ended` */
	rr_u32 halt;	/* no further cell is begun */
	rr_u32 at_once; /* cells in work at most */
	rr_u32 pad0;
	rr_u64 end;	  /* the first cell that is not the job's */
	rr_u64 limit;	  /* the first cell that may not be begun yet */
	rr_u32 by_region; /* rows above the frontier are as those below, unless needed */
	rr_u32 pad2;
	/* Written by queue 0, which does the work. */
	rr_u64 next;	 /* cells below were begun */
	rr_u64 frontier; /* cells below are done */
	rr_u64 done;	 /* mask of the cells from the frontier on */
	rr_u32 in_work;
	rr_u32 ended; /* nothing is in work, and nothing will be begun */
	rr_s32 error; /* why it cannot go on, and where */
	rr_u32 pad1;
	rr_u64 error_cell;
	rr_u64 wrong_rows; /* of 4 KiB: parity was not that of the data */
	rr_u64 unreadable_cells;
	rr_u64 mended[RR_MEMBERS_MAX]; /* cells that could not be read and were rewritten */
	rr_u64 wrong[RR_JOB_NOTES];    /* the first of them: 4 KiB rows on a member */
};

struct rr_array {
	rr_u64 magic;
	rr_u32 abi_version;
	rr_u32 queues;
	struct rr_geometry geometry;
	rr_u32 depth;	   /* tags per queue */
	rr_u32 slots;	   /* slots per queue */
	rr_u32 cell_shift; /* log2 bytes */
	rr_u32 unit_shift; /* log2 bytes */
	rr_u32 read_cut;   /* sectors: longest direct member read, whole cells */
	rr_u32 actions;	   /* entries of a queue's action ring, a power of two */
	rr_u32 zero_copy;  /* reads go straight to the client's pages */
	rr_u64 member_sectors;
	rr_u64 array_sectors;
	rr_u64 bytes; /* of the whole arena */
	rr_u64 requests_offset;
	rr_u64 slots_offset;
	rr_u64 locks_offset;
	rr_u64 actions_offset;
	rr_u64 buffers_offset;
	rr_u64 queues_offset;
	rr_u64 user_base; /* where the daemon maps the arena */
	rr_u64 life_offset;
	rr_u64 regions_offset;
	rr_u32 regions;
	rr_u32 region_shift; /* log2 of the stripes of one */
	rr_u32 regions_on;   /* writes heed them */
	rr_u32 latency_on;   /* by the control plane, at any time: requests are timed */
	rr_u64 bundles_offset;
	rr_u64 latency_offset;
	rr_u64 pad0[7];
	rr_u64 state; /* RR_STATE_*, changed by compare-and-swap */
	rr_u64 pad1[7];
	rr_u32 durable_epoch; /* the last epoch that is in the superblocks */
	rr_u32 park;	      /* queues finish what they have, and leave their programs */
	rr_u32 rest;	      /* not 0: no write starts (engine/rest.h) */
	rr_u32 region_era;    /* which writes have seen regions as they are now */
	rr_u64 regions_asked; /* mask of blocks of regions, one of which is asked for */
	rr_u32 replaced;      /* role; changed while nothing is in flight */
	rr_u32 judged;	      /* members' errors wait until the control plane has looked */
	rr_u64 suspects;      /* mask of members whose errors wait for a look; above, their count */
	rr_u32 well;	      /* all answered when they were looked at last */
	rr_s32 suspect_error; /* the last of them */
	/* The partial parity log: engine/log.h. */
	rr_u32 log_roles; /* whose member has one; 0: rows are not logged */
	rr_u32 log_fua;	  /* members with a cache that loses what it holds */
	rr_u32 log_awake; /* its writer looks by itself */
	rr_u32 pad2[1];
	rr_u32 log_open[RR_MEMBERS_MAX]; /* by role: slots of the newest unit that may write */
	struct rr_job job;
	struct rr_member members[RR_MEMBERS_MAX]; /* by role; then the replacement */
};

enum rr_op {
	RR_OP_READ = 0,
	RR_OP_WRITE = 1,
	RR_OP_FLUSH = 2,
	RR_OP_DISCARD = 3, /* these two as they come; they are writes of zeros: engine/zero.h */
	RR_OP_ZEROES = 5,
	RR_OP_JOB = 6, /* of slots only */
};

enum rr_request_flags {
	RR_REQ_FUA = 1 << 0,
	RR_REQ_COPY = 1 << 1,	/* no registered buffer: read through a slot */
	RR_REQ_QUEUED = 1 << 2, /* in rr_queue.slot_wait */
	RR_REQ_PICK = 1 << 3,	/* a long direct read failed: cell by cell */
	RR_REQ_ONE = 1 << 4,	/* a write of one cell */
	RR_REQ_ROWS = 1 << 5,	/* read through slots that keep what they have read */
	RR_REQ_ZEROES = 1 << 6, /* a write of zeros, of any length */
	RR_REQ_MAPPED = 1 << 7, /* ... and members may not deallocate for it */
};

struct rr_request {
	rr_u64 sector;
	rr_u32 sectors;
	rr_s32 error;
	rr_u32 pending; /* direct reads and slots in flight */
	rr_u16 next;
	rr_u16 retries;
	rr_u8 op;
	rr_u8 flags;
	rr_u16 wanted_roles;	     /* roles with a bit in want[]; for writes bit 0 */
	rr_u16 rebuilt;		     /* mask: the role whose rebuild delivers what its peers have */
	rr_u16 era;		     /* of writes: rr_queue.era when it came */
	rr_u16 want[RR_MEMBERS_MAX]; /* cells still to start, by role (reads) or in [0] */
};

enum rr_phase {
	RR_PHASE_FREE = 0,
	RR_PHASE_LOCK = 1,
	RR_PHASE_READ = 2,
	RR_PHASE_COPY_IN = 3,
	RR_PHASE_WRITE = 4, /* redo after a crash */
	RR_PHASE_COPY_OUT = 5,
	RR_PHASE_REPAIR = 6,
	RR_PHASE_LOG = 7,    /* no member is written before its log is: engine/log.h */
	RR_PHASE_FOLLOW = 8, /* a ticket, behind another slot or carried by it: engine/gather.h */
};

/* rr_slot.log */
enum rr_slot_log {
	RR_LOG_PARTIAL = 1 << 0, /* the buffer of parity is the partial parity, once */
	RR_LOG_SHARE = 1 << 1,	 /* its rows are in the newest unit of the log */
	RR_LOG_FOLDS = 1 << 2,	 /* what is written is folded into it; else parity is computed */
};

/* rr_slot.zero */
enum rr_slot_zero {
	RR_ZERO_PAYLOAD = 1, /* the payload is zeros, and comes from nowhere */
	RR_ZERO_ROWS = 2, /* so are all of the rows: members are told, and buffers hold nothing */
};

enum rr_plan {
	RR_PLAN_PAYLOAD = 0, /* parity is missing: write data alone */
	RR_PLAN_RCW = 1,     /* reconstruct-write; full stripe when no reads */
	RR_PLAN_RMW = 2,     /* read-modify-write */
	RR_PLAN_RECON = 3,   /* rebuild the missing block first, then as RCW */
	RR_PLAN_READ = 4,    /* member -> buffer -> client */
	RR_PLAN_REBUILD = 5, /* peers -> XOR -> client */
	RR_PLAN_FULL = 6,    /* of rr_queue.plans only: RR_PLAN_RCW, and nothing was read */
};

struct rr_fifo {
	rr_u16 head;
	rr_u16 tail;
};

struct rr_slot {
	rr_u64 cell; /* number of the cell on a member: data byte >> cell_shift */
	rr_u32 epoch;
	rr_s32 error;
	rr_u16 tag;
	rr_u16 next;
	rr_u16 lock; /* index of the row lock */
	rr_u16 lock_mask;
	rr_u8 locked;
	rr_u8 lock_tries;
	rr_u16 lo; /* hull of the operation in the cell, sectors */
	rr_u16 hi;
	rr_u16 pending;
	rr_u16 read_mask;  /* roles */
	rr_u16 data_mask;  /* roles with payload, to be written or delivered */
	rr_u16 write_mask; /* roles */
	rr_u16 retries;
	rr_u8 phase;
	rr_u8 plan;
	rr_u8 role;   /* reads: the role wanted */
	rr_u8 parity; /* role */
	rr_u8 lost;   /* role that cannot be read here, 0xff = none */
	rr_u8 bad;    /* role whose read failed here though it is active */
	rr_u8 fua;
	rr_u8 op;
	rr_u16 from[RR_MEMBERS_MAX]; /* written or wanted part, sectors in the cell */
	rr_u16 to[RR_MEMBERS_MAX];
	rr_u32 payload[RR_MEMBERS_MAX]; /* sector in the request of from[] */
	rr_u32 life;			/* one for each content of the buffers: engine/kept.h */
	rr_u16 prev;			/* in the free list */
	rr_u8 keeps;
	rr_u8 spoilt;		     /* a copy has failed, for the request that has its error */
	rr_u16 kept[RR_MEMBERS_MAX]; /* units of the buffers that are as on the members */
	/* Of writes: engine/gather.h. */
	rr_u16 units[RR_MEMBERS_MAX]; /* that from[] to to[] consists of */
	rr_u16 whole[RR_MEMBERS_MAX]; /* of them, those that one payload covers */
	rr_u16 gaps;		      /* roles of which from[] to to[] has more than the payload */
	rr_u16 parts;		      /* copies */
	rr_u16 apart;		      /* so many requests go on one by one */
	rr_u16 blame;		      /* whose copy is made: fused hosts */
	struct rr_fifo more;	      /* riders that it carries beside `tag` */
	struct rr_fifo behind;	      /* riders that wait for it to end */
	rr_u16 later;		      /* roles whose turn comes when the others are written */
	rr_u8 log;
	rr_u8 zero; /* 0, or of a request of zeros: engine/zero.h */
	rr_u8 pad[4];
};

/* A cache line each: who locks without a dispute meets no queue that locks other rows. */
struct rr_lock {
	rr_u64 units; /* mask of locked units, any cell that hashes here */
	rr_u8 waiting[RR_QUEUES_MAX];
	/* By unit, the slot (among all, plus one) that had it last and keeps it: engine/kept.h */
	rr_u16 holder[RR_UNITS_MAX];
	rr_u32 read_end; /* where a read has ended: engine/start.h */
	rr_u32 pad;
};

enum rr_act {
	RR_ACT_READ_DIRECT = 1, /* member -> client's pages, at byte `address` of them */
	RR_ACT_READ = 2,	/* member -> arena */
	RR_ACT_WRITE = 3,	/* arena -> member */
	RR_ACT_WRITE_FUA = 4,
	RR_ACT_FLUSH = 5,
	RR_ACT_COPY_IN = 6,  /* client's pages -> arena, `position` in the request */
	RR_ACT_COPY_OUT = 7, /* arena -> client's pages */
	RR_ACT_COMMIT = 8,   /* answer the client with (rr_s32)length */
	RR_ACT_FETCH = 9,    /* ask for the tag's first request */
	RR_ACT_FUSE = 10,    /* the slot's copies and parity at once (ring/fuse.h) */
	RR_ACT_BLANK = 11,   /* zeros -> arena: at once, by rr_slot_blank() */
	RR_ACT_ZERO = 12,    /* the member makes zeros of its own: loader/engine/flusher.h */
	RR_ACT_ZERO_FUA = 13,
};

struct rr_action {
	rr_u64 token;
	rr_u64 position; /* bytes: on the member, or in the request (copies) */
	rr_u64 address;	 /* bytes: in the arena, or in the client's buffer */
	rr_u32 length;	 /* bytes */
	rr_u16 tag;
	rr_u8 act;
	rr_u8 role;
};

/* A result of hosts that know that an I/O was done, and do not count its bytes. */
#define RR_RESULT_WHOLE 0x7fffffff

/* A completion's token: what it was for, in one word. */
enum rr_token_kind {
	RR_TOKEN_CLIENT =
		1, /* index = tag, role = 1 for the first: a request has come, or the end */
	RR_TOKEN_DIRECT = 2, /* index = tag, extent = sectors in the request */
	RR_TOKEN_SLOT = 3,   /* index = slot */
	RR_TOKEN_FLUSH = 4,
	RR_TOKEN_MESSAGE = 5, /* another queue or the control plane woke us */
	RR_TOKEN_WAKE = 6,    /* our own MSG_RING to queue `index` */
	RR_TOKEN_TIMER = 7,
	RR_TOKEN_NOTIFY = 8,  /* our own MSG_RING to the control plane */
	RR_TOKEN_ASK = 9,     /* ... to the flusher was lost: RR_TOKEN_FLUSH is its answer */
	RR_TOKEN_LOG = 10,    /* ... to the log's writer */
	RR_TOKEN_BUNDLE = 11, /* index = bundle, plus one: ring/bundle.h */
	RR_TOKEN_ZERO = 12,   /* ... to the flusher, of a slot: RR_TOKEN_SLOT is its answer */
};

/* What a message of RR_TOKEN_ZERO has for its result. */
enum rr_zero_flags {
	RR_ZERO_DURABLE = 1 << 0, /* answered when no cache can lose it */
	RR_ZERO_MAPPED = 1 << 1,  /* nothing is deallocated */
};

RR_STEP rr_u64 rr_token(rr_u32 kind, rr_u32 role, rr_u32 index)
{
	return kind | (rr_u64)role << 8 | (rr_u64)index << 16;
}

/* In the retry ring alone, of what waits for a look. The role's bits end below it. */
#define RR_TOKEN_SUSPECT (1ULL << 12)

RR_STEP rr_u64 rr_token_extent(rr_u64 token, rr_u32 sector, rr_u32 sectors)
{
	return token | (rr_u64)sector << 32 | (rr_u64)sectors << 48;
}

RR_STEP rr_u32 rr_token_kind(rr_u64 token)
{
	return token & 0xff;
}
RR_STEP rr_u32 rr_token_role(rr_u64 token)
{
	return token >> 8 & (RR_MEMBERS_MAX - 1);
}
RR_STEP rr_u32 rr_token_index(rr_u64 token)
{
	return token >> 16 & 0xffff;
}
RR_STEP rr_u32 rr_token_sector(rr_u64 token)
{
	return token >> 32 & 0xffff;
}
RR_STEP rr_u32 rr_token_sectors(rr_u64 token)
{
	return token >> 48 & 0xffff;
}

struct rr_counters {
	rr_u64 reads, writes, flushes; /* client requests */
	rr_u64 read_sectors, write_sectors;
	rr_u64 direct_reads; /* member I/Os by cause */
	rr_u64 slot_reads, slot_writes, member_flushes;
	rr_u64 full_cells, rcw_cells, rmw_cells, recon_cells, payload_cells;
	rr_u64 rebuilt_reads; /* reads answered by parity */
	rr_u64 repaired;      /* bad blocks rewritten */
	rr_u64 read_errors, write_errors, retries;
	rr_u64 lock_waits, slot_waits, region_waits, held_acks, replans, wakes, ticks;
	rr_u64 steps, cqes, sqes, submits; /* the host's */
	rr_u64 xor_bytes, copied_bytes;
};

/* What an answer took, by the dearest of its request's cells (ring/latency.h). */
enum rr_way {
	RR_WAY_READ = 0,
	RR_WAY_REBUILT = 1, /* a read that parity answered, in part at least */
	RR_WAY_FULL = 2,    /* writes: nothing was read for them */
	RR_WAY_RCW = 3,
	RR_WAY_RMW = 4,
	RR_WAY_DEGRADED = 5, /* what is lost was computed first, or it was parity */
	RR_WAY_FLUSH = 6,
	RR_WAY_NONE = 7, /* it never came to a cell: refused, or of no kind that there is */
	RR_WAYS = 8,
};

/* Bucket i of latencies: below 2^i * 1024 ns, and not below the one before; the last: the rest. */
enum {
	RR_LATENCY_SHIFT = 10,
	RR_LATENCY_BUCKETS = 24,
};

struct rr_latency {
	rr_u64 total_ns;
	rr_u64 count[RR_LATENCY_BUCKETS];
};

struct rr_latencies {
	struct rr_latency way[RR_WAYS];
};

/* A queue's member I/Os that are one SQE: ring/bundle.h. All zeroes: none is in flight. */
struct rr_bundle_piece {
	rr_u64 base; /* struct iovec */
	rr_u64 bytes;
};

struct rr_bundle {
	rr_u64 tokens[RR_BUNDLE_PIECES];
	struct rr_bundle_piece pieces[RR_BUNDLE_PIECES];
	rr_u32 count;
	rr_u32 bytes; /* all of them */
	rr_u32 next;  /* free one, plus one */
	rr_u32 pad;
};

/* What ends at the border of a cell, of this turn. */
struct rr_bundle_end {
	rr_u64 position; /* behind it, on the member */
	rr_u32 bytes;
	rr_u32 sq;     /* its SQE, as sq_tail counts */
	rr_u32 number; /* its bundle, plus one; 0: it is one I/O */
	rr_u32 act;
};

struct rr_bundles {
	struct rr_bundle_end end[RR_MEMBERS_MAX]; /* by role */
	rr_u32 free;				  /* the first of the list, plus one */
	rr_u32 made;				  /* those that were ever in use */
	struct rr_bundle bundle[RR_BUNDLES];
};

struct rr_queue {
	rr_u32 id;
	rr_u32 action_head; /* free running */
	rr_u32 action_tail;
	rr_u32 wake_mask;   /* queues to wake, for the host */
	rr_u32 notify;	    /* the control plane has news to read */
	rr_u32 tick_wanted; /* something waits with a timer behind it */
	rr_u32 lock_retry;
	rr_u32 flushing; /* member flushes in flight */
	rr_u32 flush_retries;
	rr_u16 free_slot; /* the first of the list, and the last */
	rr_u16 free_tail;
	rr_u16 free_slots;
	rr_u16 pad0;
	struct rr_fifo slot_wait;   /* tags */
	struct rr_fifo held;	    /* tags: done, but a failure is not durable */
	struct rr_fifo flush_now;   /* tags of the round in flight */
	struct rr_fifo flush_next;  /* tags of the next round */
	struct rr_fifo lock_wait;   /* slots */
	struct rr_fifo starting;    /* slots that ask for their lock when this turn is settled */
	struct rr_fifo rest_wait;   /* tags of writes that came at rest */
	struct rr_fifo region_wait; /* tags of writes whose region is not set */
	struct rr_fifo log_wait;    /* slots, in the turn in which they come to the log */
	struct rr_fifo zero_wait;   /* tags of writes of zeros; the first one's cells start */
	rr_u32 retry_count;
	rr_u32 open;	       /* client requests that are started and not answered */
	rr_u32 writes_open[2]; /* by the lowest bit of their era */
	rr_u32 era;	       /* rr_array.region_era when it last looked */
	rr_u32 region_look;    /* a region may have been set */
	rr_u32 came;	       /* client requests, ever */
	rr_u32 writes_came;    /* ... that write */
	rr_u32 rested;	       /* the rr_array.rest at which no write was open */
	rr_u32 job_look;       /* the job may begin a cell, or be over: job.h */
	rr_u32 log_news;       /* its writer has not been told: log.h */
	rr_u32 log_asked;      /* slots ever; the latest ones are in log_ask[] */
	rr_u32 log_answered;   /* of these, written by the log's writer */
	rr_u32 log_seen;       /* answers that were taken */
	/* engine/zero.h: */
	rr_u32 zeroing;	   /* slots in work for requests of zeros */
	rr_u32 zero_cells; /* of zero_stripe, still to start */
	rr_u32 zero_begun; /* zero_stripe is the first request's, and the last of it or not */
	rr_u32 zero_held;  /* its next region was asked for */
	rr_u32 zero_first; /* it found no slot, and has the next */
	/* the host's */
	rr_u32 started;
	rr_u32 sq_tail;
	rr_u32 inflight; /* SQEs without a CQE */
	rr_u32 fetches;	 /* of them, waiting for a client */
	rr_u32 timer_armed;
	rr_u32 stop_reason;
	rr_s32 last_error;
	rr_u32 gone;	       /* ublk takes its tags back: the device ends */
	struct rr_fifo parked; /* tags: came while the queue parks */
	rr_u32 parked_tags;
	rr_u32 fused;	    /* the host computes: set before the first request, or while parked */
	rr_u32 bundling;    /* roles with an SQE of this turn that others may join: ring/bundle.h */
	rr_u32 alone_until; /* actions up to here, as action_head counts, are SQEs of their own */
	rr_u64 timer_ns[2]; /* struct __kernel_timespec */
	rr_u64 written[RR_MEMBERS_MAX];			   /* member writes completed */
	rr_u64 flush_start[RR_MEMBERS_MAX][RR_QUEUES_MAX]; /* written at the round's start */
	struct rr_counters count;
	rr_u64 kept_cells;     /* of which something was not read, as a slot had it */
	rr_u64 borrowed_cells; /* of which another slot had something: engine/borrow.h */
	rr_u64 gathered;       /* requests that another one's operation carried */
	rr_u64 zeroed_cells;   /* that members made of their own */
	rr_u64 zero_stripe;
	rr_u16 kept_at[RR_KEPT_PLACES]; /* slots, by a hash of the cell */
	rr_u64 retry[RR_RETRY_RING];	/* tokens to issue again at the next tick */
	rr_u16 log_ask[RR_SLOTS_MAX];	/* rings, by the low bits of the counts */
	rr_u16 log_answer[RR_SLOTS_MAX];
	/* ring/latency.h: */
	rr_u64 now;		      /* ns, as this turn has read it; 0: not yet */
	rr_u64 came_at[RR_DEPTH_MAX]; /* by tag; 0: the request is not timed */
	rr_u8 plans[RR_DEPTH_MAX];    /* by tag: bits of rr_plan that its cells took */
};

RR_STATIC_ASSERT(sizeof(struct rr_member) == 144, "an entry a queue, two words");
RR_STATIC_ASSERT(sizeof(struct rr_action) == 32, "two actions a cache line");
RR_STATIC_ASSERT(sizeof(struct rr_lock) == 64, "one cache line a lock");
RR_STATIC_ASSERT(sizeof(struct rr_request) == 64, "one cache line a request");
RR_STATIC_ASSERT(sizeof(struct rr_slot) == 304, "redo reads it after a crash");
RR_STATIC_ASSERT(RR_MEMBERS_MAX == 16, "role masks are 16 bits");
RR_STATIC_ASSERT(RR_TICKET >= RR_DEPTH_MAX && RR_TICKET + RR_SLOTS_MAX < RR_NIL, "a tag or a slot");
RR_STATIC_ASSERT(RR_SLOTS_MAX == 1 << RR_SLOT_BITS && RR_QUEUES_MAX << RR_SLOT_BITS <= 1 << 16,
		 "a slot and its queue are an index of a token");

#endif /* RINGRAID_ABI_H */
