/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The library's own steps: one source, for the kernel and for user space. */
#include "ringraid/chain_btree.h"
#include "ringraid/chain.bpf.h"

CHAIN_STEP(btree)
{
	return chain_btree_step(c, block, bytes);
}

CHAIN_LICENSE("Dual BSD/GPL");
CHAIN_PROGRAM(library, btree);
