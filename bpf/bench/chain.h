/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the chain's program and its loader say to each other. */
#ifndef RINGRAID_BENCH_CHAIN_H
#define RINGRAID_BENCH_CHAIN_H

#include "../include/ringraid/ring.h"

enum {
	CHAIN_SQ_ENTRIES = 8,
	CHAIN_BLOCK_BYTES = 4096,
	CHAIN_LBA_SHIFT = 9,
	CHAIN_FILE = 0,	  /* registered */
	CHAIN_BUFFER = 0, /* registered */
};

/* Read-only to the program. */
struct chain_config {
	struct rr_ring_offsets at;
	rr_u32 nsid;
	rr_u32 good; /* result of a read that succeeded */
	rr_u64 buffer;
};

struct chain_state {
	rr_u64 block; /* the next one */
	rr_u32 left;  /* hops */
	rr_u32 in_flight;
	rr_s32 error;
	rr_u32 pad;
};

#endif /* RINGRAID_BENCH_CHAIN_H */
