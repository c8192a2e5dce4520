/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Files that the library's steps read, made of what is there already.
 *
 * The writers are for trees and tables that are made once, or anew: each writes
 * all of its file and syncs it, and the root page last. Results as in chain_api.h.
 */
#ifndef RINGRAID_CHAIN_BUILD_H
#define RINGRAID_CHAIN_BUILD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rr_chain_pair {
    const void* key;
    const void* value;
    unsigned key_bytes;
    unsigned value_bytes;
};

/* Sets the next pair: 1, or 0 when there is no more. */
typedef int (*rr_chain_next)(struct rr_chain_pair* pair, void* arg);

struct rr_btree_info {
    uint64_t bytes; /* of the file from the root page on */
    uint64_t pairs;
    unsigned levels; /* hops of a look-up: the root page and this many */
};

/*
 * A B+-tree (chain_btree.h) of pairs whose keys go up, with its root page at
 * @offset of @fd. @pairs_most: of a page; 0: as many as fit.
 */
int rr_btree_write(int fd, uint64_t offset, unsigned page_bytes, unsigned pairs_most,
                   rr_chain_next next, void* arg, struct rr_btree_info* ret);

/*
 * A hash table (chain_hash.h) with its head page at @offset of @fd. Keys are unique
 * or the first one is found.
 */
int rr_hash_write(int fd, uint64_t offset, unsigned page_bytes, unsigned buckets,
                  rr_chain_next next, void* arg, uint64_t* bytes);

/*
 * Pages of rows (chain_scan.h) from @offset of @fd on; returns the bytes that they
 * take. Row @n is at rows + n * row_bytes.
 */
int64_t rr_rows_write(int fd, uint64_t offset, unsigned page_bytes, const void* rows,
                      uint64_t count, unsigned row_bytes);

#ifdef __cplusplus
}
#endif

#endif /* RINGRAID_CHAIN_BUILD_H */
