/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A look-up whose hops are taken in the NVMe driver's completion: what the program
 * there (hook.bpf.c) and its loader share. One of these is the user_data of the command.
 */
#ifndef RINGRAID_BENCH_HOOK_H
#define RINGRAID_BENCH_HOOK_H

#include "../include/ringraid/chain_btree.h"

/* Of the patched kernel's <linux/nvme_ioctl.h>, in the last word of the command. */
enum {
	HOOK_HOPS_MAX = 64,
};
#define HOOK_NOW (1U << 31) /* sent by the interrupt, not by a kernel worker */

enum {
	HOOK_LBA_SHIFT = 9,
};

struct hook_lookup {
	struct chain c;
	struct chain_btree_query query;
	rr_u64 block; /* address of the buffer, of c.block_bytes */
	rr_s32 verdict;
	rr_u32 calls; /* of the program */
};

#endif /* RINGRAID_BENCH_HOOK_H */
