/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Chained reads: the memory that an application, the library and the loop in
 * the kernel share, and what a step may do.
 *
 * A *lookup* is one request of the application: a step function, the first block
 * to read, some bytes of scratch. A *step* looks at a block and says where to go
 * next. A *hop* is one call of the step with one block. The application's file
 * descriptors are all that can be read, and each hop is an ordinary read of one
 * of them: the file system translates it and checks it.
 *
 * All memory is one arena, laid out once when the library opens it:
 *
 *   chain_shared | lookups | rings of indices | scratch | output | cache | buffers
 *
 * A lookup owns its scratch, its output and CHAIN_FAN_OUT reads with a buffer
 * each. Only the thread that opened the chain touches any of it, in user space or
 * in the kernel, one after the other: there is nothing to lock. The exception is
 * `generation`, which any thread may raise.
 *
 * A step in the kernel cannot leave the arena, whatever it does. The same step
 * compiled for user space can: what comes from a block is checked before it is
 * used (chain_fits). The steps of the library are tested with damaged blocks.
 */
#ifndef RINGRAID_CHAIN_H
#define RINGRAID_CHAIN_H

#include "types.h"

enum {
	CHAIN_ABI_VERSION = 1,
	CHAIN_FAN_OUT = 8, /* reads of one lookup at a time */
	CHAIN_FILES_MAX = 16,
	CHAIN_STEPS_MAX = 8, /* steps of one program */
	CHAIN_DEPTH_MAX = 512,
	CHAIN_ITEMS_MAX = CHAIN_DEPTH_MAX * CHAIN_FAN_OUT,
	CHAIN_BLOCK_MAX = 1 << 20,
	CHAIN_SQ_ENTRIES = 256,
	CHAIN_CQ_ENTRIES = 4096, /* as many as there can be reads: no overflow */
	CHAIN_TRIES_MAX = 8,	 /* of one read, when the kernel asks for it */
	CHAIN_RESTARTS_MAX = 64, /* of one lookup, and readings of one block */
};

RR_STATIC_ASSERT((int)CHAIN_ITEMS_MAX <= (int)CHAIN_CQ_ENTRIES, "the CQ ring holds every read");

/* What a step returns, when it is not a negative errno. */
enum chain_verdict {
	CHAIN_MORE = 0,	   /* go on with the reads that were asked for, or are under way */
	CHAIN_DONE = 1,	   /* the lookup is answered */
	CHAIN_AGAIN = 2,   /* the block is torn: read it again, past the cache */
	CHAIN_RESTART = 3, /* the path is stale: begin again, past the cache */
};

/* Flags of a read. */
enum {
	CHAIN_KEEP = 1 << 0, /* into the cache when the step likes it, and from there */
};

enum {
	CHAIN_EIO = 5,
	CHAIN_E2BIG = 7,
	CHAIN_EBADF = 9,
	CHAIN_EAGAIN = 11,
	CHAIN_EINVAL = 22,
	CHAIN_ENOSPC = 28,
	CHAIN_ERANGE = 34,
	CHAIN_ELOOP = 40,
	CHAIN_ENODATA = 61,
	CHAIN_EPROTO = 71,
	CHAIN_EILSEQ = 84,
	CHAIN_EOPNOTSUPP = 95,
	CHAIN_ESTALE = 116,
	CHAIN_EUCLEAN = 117,
	CHAIN_EINTR = 4,
};

/* A file of the application, as the library opened it. */
struct chain_file {
	rr_u64 bytes;	    /* what may be read */
	rr_u32 align_shift; /* of offsets and lengths */
	rr_u32 nsid;	    /* of a NVMe namespace's character device, or 0 */
	rr_u32 lba_shift;
	rr_u32 command_most; /* bytes of one NVMe command */
};

enum chain_part_state {
	CHAIN_PART_FREE = 0,
	CHAIN_PART_WANTED,
	CHAIN_PART_FLIGHT,
	CHAIN_PART_READY,
};

#define CHAIN_NONE 0xffffffffU

/* One read of a lookup. */
struct chain_part {
	rr_u64 offset; /* as the step asked */
	rr_u64 tag;    /* the step's own */
	rr_u64 generation;
	rr_u32 bytes;
	rr_u32 file;
	rr_u32 flags;
	rr_u32 state;
	rr_u32 lead; /* alignment: bytes before it, and of all that is read */
	rr_u32 length;
	rr_u32 cached; /* entry of the cache that has it, or CHAIN_NONE */
	rr_u32 tries;
	rr_s32 result; /* of the read: 0 or -errno */
	rr_u32 fresh;  /* not from the cache */
};

/* A lookup. What a step may read and write comes first. */
struct chain {
	/* Of the block at hand. */
	rr_u64 offset;
	rr_u64 tag;
	rr_u32 file;
	rr_u32 flags;
	rr_u32 hop;	  /* blocks looked at before, since the beginning or the last restart */
	rr_u32 under_way; /* reads whose blocks have not been looked at, this one not counted */
	/* Of the lookup. */
	rr_u64 scratch;
	rr_u64 out;
	rr_u32 scratch_bytes;
	rr_u32 out_bytes;
	rr_u32 out_used;
	rr_u32 block_bytes; /* the most that a read may ask for */

	/* The loop's own. */
	rr_u64 first_offset;
	rr_u32 first_bytes;
	rr_u32 first_file;
	rr_u32 first_flags;
	rr_u32 step;
	rr_u32 hops; /* in all */
	rr_u32 hops_max;
	rr_u32 parts;  /* mask of those there are */
	rr_u32 busy;   /* mask of those in use */
	rr_u32 wanted; /* mask of parts asked for in this call */
	rr_u32 restarts;
	rr_u32 restart; /* when the last read is back */
	rr_u32 finished;
	rr_s32 error;
	rr_u32 again; /* readings of torn blocks */
	rr_u32 reads;
	struct chain_part part[CHAIN_FAN_OUT];
};

struct chain_cached {
	rr_u64 offset;
	rr_u64 generation;
	rr_u32 bytes;
	rr_u32 file;
	rr_u32 valid;
	rr_u32 pad;
};

/* Indices, first in first out; capacity CHAIN_ITEMS_MAX. */
struct chain_fifo {
	rr_u32 head;
	rr_u32 tail;
	rr_u64 offset; /* of the rr_u16[], in the arena */
};

struct chain_shared {
	rr_u32 abi_version;
	rr_u32 depth;
	rr_u32 fan_out;
	rr_u32 files;
	rr_u64 base; /* user address of this */
	rr_u64 bytes;
	rr_u64 lookups_offset;
	rr_u64 buffers_offset;
	rr_u64 cache_offset;  /* struct chain_cached[] */
	rr_u64 cached_offset; /* their blocks */
	rr_u32 block_bytes;
	rr_u32 stride;	     /* of buffers */
	rr_u32 cache_stride; /* of blocks in the cache */
	rr_u32 cache_mask;
	rr_u32 cache_blocks;
	/* Fairness: of one turn, and of reads under way. */
	rr_u32 hops_per_turn;
	rr_u32 bytes_most;
	rr_u32 gather; /* completions worth a wake-up; 0: half of what is under way */
	rr_u32 want;   /* lookups whose end the application waits for */
	rr_u64 generation;

	struct chain_fifo fresh; /* lookups submitted */
	struct chain_fifo line;	 /* parts to be read */
	struct chain_fifo ready; /* parts to be looked at */
	struct chain_fifo done;	 /* lookups ended */
	rr_u32 in_flight;
	rr_u32 bytes_in_flight;
	rr_u32 sq_tail;
	rr_u32 wait; /* completions to sleep for, by the last turn */
	rr_u32 poll; /* one turn more, so that what has completed is seen */
	struct {
		rr_u64 turns, hops, reads, bytes, cache_hits, cache_fills, restarts, again, submits,
			tries;
	} count;
	struct chain_file file[CHAIN_FILES_MAX];
};

typedef struct chain __arena chain_t;
typedef struct chain_part __arena chain_part_t;
typedef struct chain_shared __arena chain_shared_t;
typedef struct chain_fifo __arena chain_fifo_t;
typedef struct chain_cached __arena chain_cached_t;
typedef const rr_u8 __arena chain_block_t;

/* At an address of user space, which is what the arena's pointers are. */
#define chain_pointer(type, address) ((type __arena *)(rr_u64)(address))

/* The lookup's scratch as a structure: the caller gave that many bytes, or 0 is returned. */
#define chain_scratch(c, type)                                                                     \
	((c)->scratch_bytes >= sizeof(type) ? chain_pointer(type, (c)->scratch) : (type __arena *)0)

/* @need bytes from @at on are within @bytes. */
RR_STEP int chain_fits(rr_u32 bytes, rr_u64 at, rr_u64 need)
{
	return at <= bytes && need <= bytes - at;
}

/*
 * Numbers of any alignment, least byte first. Processors that the kernel's BPF
 * compiler serves do this; the host's compiler is told by __may_alias__ and aligned(1).
 */
#ifdef __bpf__
typedef rr_u16 chain_u16;
typedef rr_u32 chain_u32;
typedef rr_u64 chain_u64;
#else
typedef rr_u16 chain_u16 __attribute__((may_alias, aligned(1)));
typedef rr_u32 chain_u32 __attribute__((may_alias, aligned(1)));
typedef rr_u64 chain_u64 __attribute__((may_alias, aligned(1)));
#endif

#define chain_get8(p, at)  ((p)[at])
#define chain_get16(p, at) (*(const chain_u16 __arena *)((p) + (at)))
#define chain_get32(p, at) (*(const chain_u32 __arena *)((p) + (at)))
#define chain_get64(p, at) (*(const chain_u64 __arena *)((p) + (at)))

/*
 * What has a loop over bytes is a function of its own: the verifier looks at it once,
 * and not again in every loop that calls it.
 */
RR_FN int chain_copy(rr_u8 __arena *to RR_ARG_ARENA, const rr_u8 __arena *from RR_ARG_ARENA,
		     rr_u32 bytes)
{
	rr_s32 i;

	rr_for (i, bytes >> 5) {
		rr_u64 at = (rr_u64)i << 5;

		*(chain_u64 __arena *)(to + at) = chain_get64(from, at);
		*(chain_u64 __arena *)(to + at + 8) = chain_get64(from, at + 8);
		*(chain_u64 __arena *)(to + at + 16) = chain_get64(from, at + 16);
		*(chain_u64 __arena *)(to + at + 24) = chain_get64(from, at + 24);
	}
	/* The rest by halves: a round of a loop costs more than what it copies. */
	to += bytes & ~31U;
	from += bytes & ~31U;
	if (bytes & 16) {
		*(chain_u64 __arena *)to = chain_get64(from, 0);
		*(chain_u64 __arena *)(to + 8) = chain_get64(from, 8);
		to += 16, from += 16;
	}
	if (bytes & 8) {
		*(chain_u64 __arena *)to = chain_get64(from, 0);
		to += 8, from += 8;
	}
	if (bytes & 4) {
		*(chain_u32 __arena *)to = chain_get32(from, 0);
		to += 4, from += 4;
	}
	if (bytes & 2) {
		*(chain_u16 __arena *)to = chain_get16(from, 0);
		to += 2, from += 2;
	}
	if (bytes & 1)
		*to = *from;
	return 0;
}

/* The number of the lowest bit of eight, one of which is set. */
RR_STEP rr_u32 chain_lowest(rr_u32 mask)
{
	rr_u32 n = 0;

	if (!(mask & 15))
		n += 4, mask >>= 4;
	if (!(mask & 3))
		n += 2, mask >>= 2;
	if (!(mask & 1))
		n += 1;
	return n & (CHAIN_FAN_OUT - 1);
}

/*
 * Asks for @bytes at @offset of file number @file; the step is called with them.
 * 0, or -errno of a read that can never be, which is the lookup's error if the
 * step returns it.
 */
RR_STEP int chain_read_tagged(chain_t *c, rr_u32 file, rr_u64 offset, rr_u32 bytes, rr_u32 flags,
			      rr_u64 tag)
{
	rr_u32 free = c->parts & ~c->busy;
	rr_u32 n = chain_lowest(free);
	chain_part_t *p = &c->part[n];

	if (!bytes || bytes > c->block_bytes)
		return -CHAIN_E2BIG;
	if (!free)
		return -CHAIN_ENOSPC;
	p->offset = offset;
	p->bytes = bytes;
	p->file = file;
	p->flags = flags;
	p->tag = tag;
	p->tries = 0;
	p->fresh = 0;
	c->busy |= 1U << n;
	c->wanted |= 1U << n;
	return 0;
}

RR_STEP int chain_read(chain_t *c, rr_u32 file, rr_u64 offset, rr_u32 bytes, rr_u32 flags)
{
	return chain_read_tagged(c, file, offset, bytes, flags, 0);
}

/* Gives bytes to the caller. 0, or -CHAIN_ENOSPC: its buffer is full, nothing was added. */
RR_STEP int chain_emit(chain_t *c, const rr_u8 __arena *from, rr_u32 bytes)
{
	rr_u32 used = c->out_used;

	if (!chain_fits(c->out_bytes, used, bytes))
		return -CHAIN_ENOSPC;
	chain_copy(chain_pointer(rr_u8, c->out) + used, from, bytes);
	c->out_used = used + bytes;
	return 0;
}

RR_STEP int chain_emit_u64(chain_t *c, rr_u64 value)
{
	rr_u32 used = c->out_used;

	if (!chain_fits(c->out_bytes, used, 8))
		return -CHAIN_ENOSPC;
	*(chain_u64 __arena *)(chain_pointer(rr_u8, c->out) + used) = value;
	c->out_used = used + 8;
	return 0;
}

/*
 * <0, 0, >0 as memcmp. Eight bytes a round, and the rest by halves; where they differ
 * the first byte decides, so as big-endian numbers.
 */
RR_FN int chain_compare(const rr_u8 __arena *a RR_ARG_ARENA, const rr_u8 __arena *b RR_ARG_ARENA,
			rr_u32 bytes)
{
	rr_u64 x, y;
	rr_s32 i;

	rr_for (i, bytes >> 3) {
		x = chain_get64(a, (rr_u64)i << 3), y = chain_get64(b, (rr_u64)i << 3);
		if (x != y)
			return __builtin_bswap64(x) < __builtin_bswap64(y) ? -1 : 1;
	}
	a += bytes & ~7U;
	b += bytes & ~7U;
	if (bytes & 4) {
		x = chain_get32(a, 0), y = chain_get32(b, 0);
		if (x != y)
			return __builtin_bswap32(x) < __builtin_bswap32(y) ? -1 : 1;
		a += 4, b += 4;
	}
	if (bytes & 2) {
		x = chain_get16(a, 0), y = chain_get16(b, 0);
		if (x != y)
			return __builtin_bswap16(x) < __builtin_bswap16(y) ? -1 : 1;
		a += 2, b += 2;
	}
	if (bytes & 1 && *a != *b)
		return *a < *b ? -1 : 1;
	return 0;
}

/* Strings of any lengths; a prefix is less. */
RR_STEP int chain_compare_keys(const rr_u8 __arena *a, rr_u32 a_bytes, const rr_u8 __arena *b,
			       rr_u32 b_bytes)
{
	int c = chain_compare(a, b, a_bytes < b_bytes ? a_bytes : b_bytes);

	return c ? c : a_bytes < b_bytes ? -1 : a_bytes > b_bytes;
}

#endif /* RINGRAID_CHAIN_H */
