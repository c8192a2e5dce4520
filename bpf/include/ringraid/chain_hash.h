/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hash table: a bucket's page, and the pages that it overflows into.
 *
 *   head page    at the offset that look-ups begin with: how many buckets
 *   bucket page  n behind it: entries one after the other, and the next page
 *   entry        u16 key bytes, u16 value bytes, key, value
 *
 * A page knows its bucket and its place in the chain, so a chain that leads into
 * another bucket or round in a circle is seen at once: -EUCLEAN. Versions and
 * checksums as in chain_btree.h. The hash is CRC-32C, scaled to the buckets.
 */
#ifndef RINGRAID_CHAIN_HASH_H
#define RINGRAID_CHAIN_HASH_H

#include "chain_sum.h"

#define CHAIN_HASH_HEAD_MAGIC 0x48487272U /* "rrHH" */
#define CHAIN_HASH_PAGE_MAGIC 0x50487272U /* "rrHP" */

enum {
	CHAIN_HASH_SUM_FROM = 8,
	CHAIN_HASH_KEY_MAX = 255,
	CHAIN_HASH_ENTRY = 4,
};

enum {
	CHAIN_HASH_CHECK = 1 << 0, /* checksums */
};

struct chain_hash_head {
	rr_u64 sum;
	rr_u64 version;
	rr_u64 buckets_offset;
	rr_u64 pad0;
	rr_u32 magic; /* where every page has it */
	rr_u32 page_bytes;
	rr_u32 buckets;
	rr_u32 pad;
};

struct chain_hash_page {
	rr_u64 sum;
	rr_u64 version;
	rr_u64 next; /* 0: none */
	rr_u64 next_version;
	rr_u32 magic;
	rr_u32 bucket;
	rr_u32 place; /* in the bucket's chain */
	rr_u32 used;  /* bytes of entries */
};

RR_STATIC_ASSERT(__builtin_offsetof(struct chain_hash_head, magic) ==
			 __builtin_offsetof(struct chain_hash_page, magic),
		 "the magic is in one place");

/* The scratch; the value is emitted. */
struct chain_hash_query {
	rr_u8 flags;
	rr_u8 key_bytes;
	rr_u8 found;
	rr_u8 pad;
	/* The step's own. */
	rr_u32 bucket;
	rr_u32 place;
	rr_u8 key[256];
};

typedef struct chain_hash_query __arena chain_hash_query_t;
typedef const struct chain_hash_page __arena chain_hash_page_t;

RR_STEP rr_u32 chain_hash_bucket(const rr_u8 __arena *key, rr_u32 bytes, rr_u32 buckets)
{
	return (rr_u32)((rr_u64)chain_crc32c(key, bytes) * buckets >> 32);
}

RR_STEP int chain_hash_enter(chain_t *c, chain_block_t *block, chain_hash_query_t *q)
{
	const struct chain_hash_head __arena *head = (const struct chain_hash_head __arena *)block;
	int ret;

	if (!head->buckets)
		return -CHAIN_EUCLEAN;
	q->bucket = chain_hash_bucket(q->key, q->key_bytes, head->buckets);
	q->place = 0;
	ret = chain_read(c, c->file, head->buckets_offset + (rr_u64)q->bucket * head->page_bytes,
			 head->page_bytes, 0);
	return ret ? ret : CHAIN_MORE;
}

/* CHAIN_DONE when the entry is here, CHAIN_MORE when it is not, -errno. */
RR_STEP int chain_hash_look(chain_t *c, chain_block_t *block, rr_u32 bytes, chain_hash_query_t *q)
{
	chain_hash_page_t *page = (chain_hash_page_t *)block;
	rr_u32 at = rr_counted_from(0), used = page->used;
	rr_s32 i;

	block += sizeof(*page);
	bytes -= sizeof(*page);
	if (used > bytes)
		return -CHAIN_EUCLEAN;
	rr_for (i, 32768) {
		rr_u32 key_bytes, value_bytes;

		if (at >= used)
			return CHAIN_MORE;
		if (!chain_fits(used, at, CHAIN_HASH_ENTRY))
			return -CHAIN_EUCLEAN;
		key_bytes = chain_get16(block, at);
		value_bytes = chain_get16(block, at + 2);
		at += CHAIN_HASH_ENTRY;
		if (!chain_fits(used, at, key_bytes + value_bytes))
			return -CHAIN_EUCLEAN;
		if (key_bytes == q->key_bytes && !chain_compare(block + at, q->key, key_bytes)) {
			int ret = chain_emit(c, block + at + key_bytes, value_bytes);

			q->found = 1;
			return ret ? ret : CHAIN_DONE;
		}
		at += key_bytes + value_bytes;
	}
	return -CHAIN_EUCLEAN;
}

/* The step. */
RR_STEP int chain_hash_step(chain_t *c, chain_block_t *block, rr_u32 bytes)
{
	chain_hash_query_t *q = chain_scratch(c, struct chain_hash_query);
	chain_hash_page_t *page = (chain_hash_page_t *)block;
	int ret;

	if (!q || bytes < sizeof(*page))
		return -CHAIN_EINVAL;
	if (c->offset & 7)
		return -CHAIN_EUCLEAN;
	if (q->flags & CHAIN_HASH_CHECK &&
	    page->sum != chain_xxh64(block + CHAIN_HASH_SUM_FROM, bytes - CHAIN_HASH_SUM_FROM,
				     c->offset))
		return CHAIN_AGAIN;
	if (!c->hop && page->magic == CHAIN_HASH_HEAD_MAGIC)
		return chain_hash_enter(c, block, q);
	if (c->tag && page->version != c->tag)
		return CHAIN_RESTART;
	if (page->magic != CHAIN_HASH_PAGE_MAGIC || page->bucket != q->bucket ||
	    page->place != q->place)
		return -CHAIN_EUCLEAN;
	ret = chain_hash_look(c, block, bytes, q);
	if (ret != CHAIN_MORE)
		return ret;
	if (!page->next)
		return CHAIN_DONE;
	q->place++;
	ret = chain_read_tagged(c, c->file, page->next, bytes, 0, page->next_version);
	return ret ? ret : CHAIN_MORE;
}

#endif /* RINGRAID_CHAIN_HASH_H */
