// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The B+-tree's step in the completion of the NVMe driver: where the experiment of
 * kfunc-patches asks where a read goes on. The same function as in the loop
 * (chain_btree.h), in an interrupt: it cannot sleep, and all it can reach is the
 * arena, in which the command's buffer is.
 */
#include "../include/ringraid/kernel.bpf.h"
#include "hook.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

volatile rr_u32 rr_zero;

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* pages; the loader brings its own */
} hook_arena SEC(".maps");

RR_FN int hook_step(chain_t *c RR_ARG_ARENA, chain_block_t *block RR_ARG_ARENA, rr_u32 bytes)
{
	return chain_btree_step(c, block, bytes);
}

/* > 0: the block to go on with; else the look-up has ended. */
SEC("fmod_ret/nvme_uring_hop")
long BPF_PROG(hook_hop, __u64 user_data, __u64 lba)
{
	struct hook_lookup __arena *l = (struct hook_lookup __arena *)user_data;
	chain_t *c = &l->c;
	chain_part_t *next = &c->part[0];
	rr_u32 bytes = c->block_bytes;

	asm volatile("" ::"r"(&hook_arena));
	l->calls++;
	c->busy = c->wanted = 0;
	c->offset = lba << HOOK_LBA_SHIFT;
	c->tag = next->tag;
	l->verdict = hook_step(c, chain_pointer(const rr_u8, l->block), bytes);
	c->hop++;
	if (l->verdict != CHAIN_MORE)
		return -1;
	/* Block 0 is where trees begin: nothing leads to it. */
	if (next->file || next->bytes != bytes || next->offset & ((1 << HOOK_LBA_SHIFT) - 1) ||
	    !next->offset) {
		l->verdict = -CHAIN_ERANGE;
		return -1;
	}
	return next->offset >> HOOK_LBA_SHIFT;
}
