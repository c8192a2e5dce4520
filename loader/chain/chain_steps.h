/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The library's own steps, by number, and their queries: what a chain runs that was
 * opened without .object and .program. A look-up's scratch is the step's query.
 */
#ifndef RINGRAID_CHAIN_STEPS_H
#define RINGRAID_CHAIN_STEPS_H

#include <ringraid/chain_btree.h>
#include <ringraid/chain_hash.h>
#include <ringraid/chain_scan.h>
#include <ringraid/chain_sstable.h>

enum rr_chain_step {
    RR_CHAIN_BTREE = 0,
    RR_CHAIN_HASH = 1,
    RR_CHAIN_SSTABLE = 2,
    RR_CHAIN_SCAN = 3,
};

#endif /* RINGRAID_CHAIN_STEPS_H */
