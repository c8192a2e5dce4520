/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What xor_bench and its BPF program say to each other.
 *
 * The arena begins with the job. Behind it are cells of `bytes`, side by side as
 * a slot's are: the sum, a stable buffer for each source, and for each source a
 * client's buffer that a BPF loop can reach. The clients that only the kernel
 * can reach are registered buffers, numbered by source as ublk's are by tag; the
 * arena is the buffer behind them.
 */
#ifndef RINGRAID_XOR_JOB_H
#define RINGRAID_XOR_JOB_H

#include "../include/ringraid/types.h"

enum {
	XOR_SOURCES_MAX = 8,
	XOR_BYTES_MAX = 1 << 20,
	XOR_CELL_SUM = 0,
	XOR_CELL_STABLE = 1,		       /* + source */
	XOR_CELL_CLIENT = 1 + XOR_SOURCES_MAX, /* + source */
	XOR_CELLS = 1 + 2 * XOR_SOURCES_MAX,
	XOR_HEADER_BYTES = 4096,
	XOR_ARENA_BYTES = XOR_HEADER_BYTES + XOR_CELLS * XOR_BYTES_MAX,
	XOR_BUFFER_ARENA = XOR_SOURCES_MAX,
};

/* The sum of the stable buffers, and how they come by their content. */
enum xor_way {
	XOR_LOOP = 0,	    /* the engine's loop; they have it */
	XOR_LOOP_COPY = 1,  /* a loop copies the clients, then as XOR_LOOP */
	XOR_KFUNC = 2,	    /* one call; they have it */
	XOR_KFUNC_COPY = 3, /* a call copies each client, then as XOR_KFUNC */
	XOR_FUSED = 4,	    /* one call copies the clients on the way */
};

struct xor_job {
	rr_u32 way;
	rr_u32 sources;
	rr_u32 bytes; /* of each source */
	rr_u32 rounds;
	rr_u32 done; /* rounds that were made */
	rr_s32 error;
};

/* Byte offset of a cell in the arena. */
static inline rr_u64 xor_cell(rr_u32 cell, rr_u32 bytes)
{
	return XOR_HEADER_BYTES + (rr_u64)cell * bytes;
}

#endif /* RINGRAID_XOR_JOB_H */
