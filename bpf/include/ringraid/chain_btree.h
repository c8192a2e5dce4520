/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * B+-tree: look-up, range scan, prefix scan.
 *
 * A tree is a file (or a part of a device) of pages of one size, 512 bytes to
 * 32 KiB. Keys are strings of up to 255 bytes in the order of memcmp; a page keeps
 * what its keys begin with in common once.
 *
 *   root page    at the offset that lookups begin with: where the tree's root is
 *   inner page   key = the smallest of the child; value = struct chain_btree_child
 *   leaf page    key and value; next = the leaf to the right
 *
 *   page: head | slots, u16 each: where cell i is | ... | prefix | cells
 *   cell: u16 key bytes, u16 value bytes, key without the prefix, value
 *
 * Writers replace pages by copy and then the root page; a page that is free may be
 * written again. Each pointer has the version that its page had: when a reader
 * meets another one, its path is from before and it begins again. A page read while
 * it was written has a wrong checksum and is read again. With flags of zero there is
 * no checksum taken: right where nothing is ever written in place.
 *
 * Nothing in a page is believed: every offset is checked against the page, levels
 * go down by one, keys of a scan go up. A damaged tree gives -EUCLEAN.
 */
#ifndef RINGRAID_CHAIN_BTREE_H
#define RINGRAID_CHAIN_BTREE_H

#include "chain_sum.h"

enum {
	CHAIN_BTREE_PAGE_MIN = 512,
	CHAIN_BTREE_PAGE_MAX = 32768,
	CHAIN_BTREE_KEY_MAX = 255,
	CHAIN_BTREE_LEVELS_MAX = 32,
	CHAIN_BTREE_SUM_FROM = 8, /* the checksum is over what follows it */
};

#define CHAIN_BTREE_ROOT_MAGIC 0x52427272U /* "rrBR" */
#define CHAIN_BTREE_PAGE_MAGIC 0x50427272U /* "rrBP" */

struct chain_btree_child {
	rr_u64 offset;
	rr_u64 version;
};

/* Both kinds begin alike: XXH64 seeded with the page's own offset, then the version. */
struct chain_btree_root {
	rr_u64 sum;
	rr_u64 version;
	struct chain_btree_child child;
	rr_u32 magic;
	rr_u32 page_bytes;
	rr_u16 level; /* of the child; 0: a leaf */
	rr_u16 pad[3];
};

struct chain_btree_page {
	rr_u64 sum;
	rr_u64 version;
	struct chain_btree_child next; /* of a leaf; offset 0: none */
	rr_u32 magic;
	rr_u16 level;
	rr_u16 count;
	rr_u16 prefix_at;
	rr_u16 prefix_bytes;
	rr_u32 pad;
};

RR_STATIC_ASSERT(__builtin_offsetof(struct chain_btree_root, magic) ==
			 __builtin_offsetof(struct chain_btree_page, magic),
		 "the magic is in one place");

enum {
	CHAIN_BTREE_CELL = 4, /* bytes before a cell's key */
	CHAIN_BTREE_SLOTS = sizeof(struct chain_btree_page),
};

enum chain_btree_op {
	CHAIN_BTREE_GET = 0,
	CHAIN_BTREE_SCAN = 1,	/* from key on, before end if there is one */
	CHAIN_BTREE_PREFIX = 2, /* from key on, what begins with end */
};

enum {
	CHAIN_BTREE_CHECK = 1 << 0, /* checksums */
};

/*
 * The scratch. GET emits the value; the others, for each pair, u16 key bytes, u16
 * value bytes, key, value. When the output is full `more` is set and key is where
 * to go on.
 */
struct chain_btree_query {
	rr_u8 op;
	rr_u8 flags;
	rr_u8 key_bytes;
	rr_u8 end_bytes; /* 0: no end */
	rr_u32 limit;	 /* pairs; 0: no limit */
	rr_u32 found;
	rr_u8 more;
	/* The step's own, zero at first. */
	rr_u8 level; /* that the next page must have, + 1; 0: any */
	rr_u8 began; /* the scan has come to its leaves */
	rr_u8 last_bytes;
	rr_u8 key[256];
	rr_u8 end[256];
	rr_u8 last[256]; /* the scan's last key */
	rr_u8 whole[256];
};

typedef struct chain_btree_query __arena chain_btree_query_t;
typedef const struct chain_btree_page __arena chain_btree_page_t;

/* Of cell @n: where its key is, and how long both are; 0 when it is not in the page. */
RR_STEP rr_u32 chain_btree_cell(chain_block_t *block, rr_u32 bytes, rr_u32 n, rr_u32 *key_bytes,
				rr_u32 *value_bytes)
{
	rr_u32 at = chain_get16(block, CHAIN_BTREE_SLOTS + 2 * (rr_u64)n);

	if (!chain_fits(bytes, at, CHAIN_BTREE_CELL))
		return 0;
	*key_bytes = chain_get16(block, at);
	*value_bytes = chain_get16(block, at + 2);
	at += CHAIN_BTREE_CELL;
	return chain_fits(bytes, at, *key_bytes + *value_bytes) ? at : 0;
}

/* How many cells are less than the key, or with @or_equal not greater; -EUCLEAN. */
RR_FN int chain_btree_rank(chain_block_t *block RR_ARG_ARENA, rr_u32 bytes,
			   const rr_u8 __arena *key RR_ARG_ARENA, rr_u32 key_bytes, int or_equal)
{
	chain_btree_page_t *page = (chain_btree_page_t *)block;
	rr_u32 low = rr_counted_from(0), high = page->count, prefix = page->prefix_bytes;
	int c = chain_compare(key, block + page->prefix_at,
			      prefix < key_bytes ? prefix : key_bytes);
	rr_s32 round;

	if (c < 0 || (!c && key_bytes < prefix))
		return 0;
	if (c > 0)
		return high;
	rr_for (round, 16) {
		rr_u32 middle = (low + high) / 2, cell_bytes, value_bytes, at;

		if (low >= high)
			break;
		at = chain_btree_cell(block, bytes, middle, &cell_bytes, &value_bytes);
		if (!at)
			return -CHAIN_EUCLEAN;
		c = chain_compare_keys(block + at, cell_bytes, key + prefix, key_bytes - prefix);
		if (c < 0 || (!c && or_equal))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Head, slots and prefix are in the page. */
RR_STEP int chain_btree_is_page(chain_block_t *block, rr_u32 bytes)
{
	chain_btree_page_t *page = (chain_btree_page_t *)block;

	return bytes >= sizeof(*page) && page->magic == CHAIN_BTREE_PAGE_MAGIC &&
	       chain_fits(bytes, CHAIN_BTREE_SLOTS, 2 * (rr_u64)page->count) &&
	       page->prefix_bytes <= CHAIN_BTREE_KEY_MAX && page->count < 16384 &&
	       chain_fits(bytes, page->prefix_at, page->prefix_bytes);
}

RR_STEP int chain_btree_follow(chain_t *c, rr_u64 offset, rr_u64 version, rr_u32 bytes, int keep)
{
	int ret = chain_read_tagged(c, c->file, offset, bytes, keep ? CHAIN_KEEP : 0, version);

	return ret ? ret : CHAIN_MORE;
}

RR_STEP int chain_btree_enter(chain_t *c, chain_block_t *block, chain_btree_query_t *q)
{
	const struct chain_btree_root __arena *root =
		(const struct chain_btree_root __arena *)block;

	if (root->page_bytes < CHAIN_BTREE_PAGE_MIN || root->page_bytes > CHAIN_BTREE_PAGE_MAX ||
	    root->level >= CHAIN_BTREE_LEVELS_MAX)
		return -CHAIN_EUCLEAN;
	q->level = root->level + 1;
	return chain_btree_follow(c, root->child.offset, root->child.version, root->page_bytes,
				  root->level);
}

RR_STEP int chain_btree_descend(chain_t *c, chain_block_t *block, rr_u32 bytes,
				chain_btree_query_t *q)
{
	chain_btree_page_t *page = (chain_btree_page_t *)block;
	rr_u32 key_bytes, value_bytes, at;
	int n = chain_btree_rank(block, bytes, q->key, q->key_bytes, 1);

	if (n < 0 || !page->count)
		return -CHAIN_EUCLEAN;
	at = chain_btree_cell(block, bytes, n ? n - 1 : 0, &key_bytes, &value_bytes);
	if (!at || value_bytes != sizeof(struct chain_btree_child))
		return -CHAIN_EUCLEAN;
	at += key_bytes;
	q->level = page->level;
	return chain_btree_follow(c, chain_get64(block, at), chain_get64(block, at + 8), bytes,
				  page->level > 1);
}

RR_STEP int chain_btree_get(chain_t *c, chain_block_t *block, rr_u32 bytes, chain_btree_query_t *q)
{
	chain_btree_page_t *page = (chain_btree_page_t *)block;
	rr_u32 key_bytes, value_bytes, at, prefix = page->prefix_bytes;
	int n = chain_btree_rank(block, bytes, q->key, q->key_bytes, 0);

	if (n < 0)
		return n;
	if (n >= page->count || q->key_bytes < prefix)
		return CHAIN_DONE;
	at = chain_btree_cell(block, bytes, n, &key_bytes, &value_bytes);
	if (!at)
		return -CHAIN_EUCLEAN;
	if (chain_compare(q->key, block + page->prefix_at, prefix) ||
	    chain_compare_keys(block + at, key_bytes, q->key + prefix, q->key_bytes - prefix))
		return CHAIN_DONE;
	q->found = 1;
	n = chain_emit(c, block + at + key_bytes, value_bytes);
	return n ? n : CHAIN_DONE;
}

/* Is the pair out of what is asked for? */
RR_STEP int chain_btree_is_past(chain_btree_query_t *q, rr_u32 whole_bytes)
{
	if (q->op == CHAIN_BTREE_PREFIX)
		return whole_bytes < q->end_bytes || chain_compare(q->whole, q->end, q->end_bytes);
	return q->end_bytes && chain_compare_keys(q->whole, whole_bytes, q->end, q->end_bytes) >= 0;
}

/* One pair: 0, a verdict, or -errno. */
RR_STEP int chain_btree_pair(chain_t *c, chain_block_t *block, rr_u32 bytes, chain_btree_query_t *q,
			     rr_u32 n)
{
	chain_btree_page_t *page = (chain_btree_page_t *)block;
	rr_u32 key_bytes, value_bytes, prefix = page->prefix_bytes, whole, used = c->out_used;
	rr_u32 at = chain_btree_cell(block, bytes, n, &key_bytes, &value_bytes);
	rr_u8 __arena *out;

	whole = prefix + key_bytes;
	if (!at || whole > CHAIN_BTREE_KEY_MAX)
		return -CHAIN_EUCLEAN;
	chain_copy(q->whole, block + page->prefix_at, prefix);
	chain_copy(q->whole + prefix, block + at, key_bytes);
	/* Keys that do not go up are of a damaged page, or of a circle of leaves. */
	if (q->last_bytes && chain_compare_keys(q->whole, whole, q->last, q->last_bytes) <= 0)
		return -CHAIN_EUCLEAN;
	if (chain_btree_is_past(q, whole))
		return CHAIN_DONE;
	if (!chain_fits(c->out_bytes, used, CHAIN_BTREE_CELL + whole + value_bytes)) {
		if (!q->found)
			return -CHAIN_ENOSPC;
		q->more = 1;
		q->key_bytes = whole;
		chain_copy(q->key, q->whole, whole);
		return CHAIN_DONE;
	}
	out = chain_pointer(rr_u8, c->out) + used;
	*(chain_u16 __arena *)out = whole;
	*(chain_u16 __arena *)(out + 2) = value_bytes;
	chain_copy(out + CHAIN_BTREE_CELL, q->whole, whole);
	chain_copy(out + CHAIN_BTREE_CELL + whole, block + at + key_bytes, value_bytes);
	c->out_used = used + CHAIN_BTREE_CELL + whole + value_bytes;
	chain_copy(q->last, q->whole, whole);
	q->last_bytes = whole;
	q->found++;
	return q->limit && q->found >= q->limit ? CHAIN_DONE : CHAIN_MORE;
}

RR_STEP int chain_btree_scan(chain_t *c, chain_block_t *block, rr_u32 bytes, chain_btree_query_t *q)
{
	chain_btree_page_t *page = (chain_btree_page_t *)block;
	int from = q->began ? 0 : chain_btree_rank(block, bytes, q->key, q->key_bytes, 0);
	rr_s32 i;

	if (from < 0)
		return from;
	q->began = 1;
	rr_for (i, page->count) {
		int ret;

		if (i < from)
			continue;
		ret = chain_btree_pair(c, block, bytes, q, i);
		if (ret)
			return ret;
	}
	if (!page->next.offset)
		return CHAIN_DONE;
	/* A leaf without a pair gives no key that has to go up. */
	if (!page->count)
		return -CHAIN_EUCLEAN;
	q->level = 1;
	return chain_btree_follow(c, page->next.offset, page->next.version, bytes, 0);
}

/* The step. */
RR_STEP int chain_btree_step(chain_t *c, chain_block_t *block, rr_u32 bytes)
{
	chain_btree_query_t *q = chain_scratch(c, struct chain_btree_query);
	chain_btree_page_t *page = (chain_btree_page_t *)block;

	if (!q || bytes < sizeof(struct chain_btree_root))
		return -CHAIN_EINVAL;
	if (!c->hop) {
		/* A scan that begins again has given nothing: its output was taken back. */
		q->level = q->began = q->last_bytes = 0;
		q->found = 0;
	}
	if (c->offset & 7)
		return -CHAIN_EUCLEAN;
	if (q->flags & CHAIN_BTREE_CHECK &&
	    page->sum != chain_xxh64(block + CHAIN_BTREE_SUM_FROM, bytes - CHAIN_BTREE_SUM_FROM,
				     c->offset))
		return CHAIN_AGAIN;
	if (page->magic == CHAIN_BTREE_ROOT_MAGIC && !c->hop)
		return chain_btree_enter(c, block, q);
	if (c->tag && page->version != c->tag)
		return CHAIN_RESTART;
	if (!chain_btree_is_page(block, bytes) || (q->level && page->level != q->level - 1))
		return -CHAIN_EUCLEAN;
	if (page->level)
		return chain_btree_descend(c, block, bytes, q);
	if (q->op == CHAIN_BTREE_GET)
		return chain_btree_get(c, block, bytes, q);
	return chain_btree_scan(c, block, bytes, q);
}

#endif /* RINGRAID_CHAIN_BTREE_H */
