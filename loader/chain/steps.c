/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The library's own steps (chain_steps.h): one source, for the kernel and for user space. */
#include "ringraid/chain_btree.h"
#include "ringraid/chain_hash.h"
#include "ringraid/chain_scan.h"
#include "ringraid/chain_sstable.h"
#include "ringraid/chain.bpf.h"

CHAIN_STEP(btree) {
    return chain_btree_step(c, block, bytes);
}

CHAIN_STEP(hash) {
    return chain_hash_step(c, block, bytes);
}

CHAIN_STEP(sstable) {
    return chain_sstable_step(c, block, bytes);
}

CHAIN_STEP(scan) {
    return chain_scan_step(c, block, bytes);
}

CHAIN_LICENSE("Dual BSD/GPL");
CHAIN_PROGRAM(library, btree, hash, sstable, scan);
