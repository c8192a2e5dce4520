/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tables of log-structured stores, in LevelDB's format: look-up of a key.
 *
 *   footer -> index block -> [metaindex block -> filter block ->] data block
 *
 * The look-up begins with the last 48 bytes of the file. The filter (LevelDB's
 * built-in Bloom filter) is asked before the data block is read. All but data
 * blocks are read with CHAIN_KEEP: with a cache, and most of the tables' blocks in
 * it, a look-up is one read, or none where the filter says no.
 *
 * Tables of a database have its sequence number and kind behind each key
 * (CHAIN_SSTABLE_INTERNAL): the newest value of the key is found, or its deletion.
 * Compressed blocks give -EOPNOTSUPP. The chain's block_bytes must hold the
 * largest block, which is the index: else -E2BIG.
 *
 * Format: doc/table_format.md of github.com/google/leveldb.
 */
#ifndef RINGRAID_CHAIN_SSTABLE_H
#define RINGRAID_CHAIN_SSTABLE_H

#include "chain_sum.h"

#define CHAIN_SSTABLE_MAGIC 0xdb4775248b80fb57ULL

enum {
	CHAIN_SSTABLE_FOOTER = 48,
	CHAIN_SSTABLE_TRAILER = 5, /* kind of compression, CRC */
	CHAIN_SSTABLE_KEY_MAX = 1024,
	CHAIN_SSTABLE_SEQUENCE = 8, /* bytes behind a key of a database */
	CHAIN_SSTABLE_FILTER_NAME = 34,
};

enum {
	CHAIN_SSTABLE_CHECK = 1 << 0, /* CRCs */
	CHAIN_SSTABLE_INTERNAL = 1 << 1,
	CHAIN_SSTABLE_NO_FILTER = 1 << 2,
};

enum chain_sstable_phase {
	CHAIN_SSTABLE_INDEX = 1,
	CHAIN_SSTABLE_META,
	CHAIN_SSTABLE_FILTER,
	CHAIN_SSTABLE_DATA,
};

/* The scratch; the value is emitted. */
struct chain_sstable_query {
	rr_u8 flags;
	rr_u8 found;
	rr_u8 deleted;	/* what was found is a deletion */
	rr_u8 filtered; /* the filter said that it is not there */
	rr_u16 key_bytes;
	rr_u16 pad;
	rr_u64 sequence;
	/* The step's own. */
	rr_u64 meta_offset, meta_bytes;
	rr_u64 data_offset, data_bytes;
	rr_u8 key[CHAIN_SSTABLE_KEY_MAX];
	rr_u8 at[CHAIN_SSTABLE_KEY_MAX + 64]; /* the entry's key: entries share beginnings */
};

typedef struct chain_sstable_query __arena chain_sstable_query_t;

/* Where a reader is in a block; numbers of the format are varints. */
struct chain_sstable_cursor {
	rr_u64 value;
	rr_u32 at;
	rr_u32 end;
	rr_u32 bad;
	rr_u32 pad;
};

RR_FN rr_u64 chain_varint(chain_block_t *block RR_ARG_ARENA, struct chain_sstable_cursor *x)
{
	rr_u64 value = 0;
	rr_u32 at;
	rr_s32 i;

	if (!x)
		return 0;
	at = x->at;

	rr_for (i, 10) {
		rr_u8 byte;

		if (at >= x->end)
			break;
		byte = block[at++];
		value |= (rr_u64)(byte & 127) << (7 * (i & 15) & 63);
		if (!(byte & 128)) {
			x->at = at;
			return value;
		}
	}
	x->bad = 1;
	return 0;
}

/* An entry of a block: its key is in q->at. */
struct chain_sstable_entry {
	rr_u32 key_bytes;
	rr_u32 value_at;
	rr_u32 value_bytes;
	rr_u32 restarts_at; /* where the entries end */
};

RR_STEP rr_u32 chain_sstable_user_bytes(chain_sstable_query_t *q, rr_u32 key_bytes)
{
	return q->flags & CHAIN_SSTABLE_INTERNAL && key_bytes >= CHAIN_SSTABLE_SEQUENCE
		       ? key_bytes - CHAIN_SSTABLE_SEQUENCE
		       : key_bytes;
}

/* The entry that begins at x->at, with the key of the one before in q->at. */
RR_FN int chain_sstable_entry(chain_block_t *block RR_ARG_ARENA,
			      chain_sstable_query_t *q RR_ARG_ARENA, struct chain_sstable_cursor *x,
			      struct chain_sstable_entry *e)
{
	rr_u64 shared, own, value;

	if (!x || !e)
		return -CHAIN_EINVAL;
	shared = chain_varint(block, x);
	own = chain_varint(block, x);
	value = chain_varint(block, x);
	if (x->bad || shared > e->key_bytes || own > CHAIN_SSTABLE_KEY_MAX ||
	    shared + own > CHAIN_SSTABLE_KEY_MAX || !chain_fits(x->end, x->at, own) ||
	    !chain_fits(x->end, x->at + own, value))
		return -CHAIN_EUCLEAN;
	chain_copy(q->at + shared, block + x->at, own);
	e->key_bytes = shared + own;
	e->value_at = x->at + own;
	e->value_bytes = value;
	x->at += own + value;
	return 0;
}

/*
 * The first entry whose key is not less than the query's. 1: it is in @e; 0: there is
 * none; -errno.
 */
RR_FN int chain_sstable_seek(chain_block_t *block RR_ARG_ARENA, rr_u32 bytes,
			     chain_sstable_query_t *q RR_ARG_ARENA, struct chain_sstable_entry *e)
{
	struct chain_sstable_cursor x = {};
	rr_u32 restarts, low = rr_counted_from(0), high, restarts_at;
	rr_s32 i;
	int ret;

	if (!e || bytes < 4)
		return -CHAIN_EUCLEAN;
	restarts = chain_get32(block, bytes - 4);
	if (restarts > bytes / 4 - 1)
		return -CHAIN_EUCLEAN;
	if (!restarts)
		return 0;
	restarts_at = bytes - 4 - 4 * restarts;
	x.end = restarts_at;
	high = restarts - 1;
	/* The last restart whose key is less: entries that share nothing begin there. */
	rr_for (i, 32) {
		rr_u32 middle = low + (high - low + 1) / 2, user;

		if (low >= high)
			break;
		x.at = chain_get32(block, restarts_at + 4 * (rr_u64)middle);
		e->key_bytes = 0;
		ret = chain_sstable_entry(block, q, &x, e);
		if (ret)
			return ret;
		user = chain_sstable_user_bytes(q, e->key_bytes);
		if (chain_compare_keys(q->at, user, q->key, q->key_bytes) < 0)
			low = middle;
		else
			high = middle - 1;
	}
	x.at = chain_get32(block, restarts_at + 4 * (rr_u64)low);
	if (x.at > x.end)
		return -CHAIN_EUCLEAN;
	e->key_bytes = 0;
	rr_for (i, bytes) {
		rr_u32 user;

		if (x.at >= x.end)
			return 0;
		ret = chain_sstable_entry(block, q, &x, e);
		if (ret)
			return ret;
		user = chain_sstable_user_bytes(q, e->key_bytes);
		if (chain_compare_keys(q->at, user, q->key, q->key_bytes) >= 0)
			return 1;
	}
	return -CHAIN_EUCLEAN;
}

/* A handle is where a block is: two numbers. */
RR_STEP int chain_sstable_handle(chain_block_t *block, struct chain_sstable_cursor *x,
				 rr_u64 *offset, rr_u64 *size)
{
	*offset = chain_varint(block, x);
	*size = chain_varint(block, x);
	return x->bad || *size > CHAIN_BLOCK_MAX ? -CHAIN_EUCLEAN : 0;
}

RR_STEP int chain_sstable_read(chain_t *c, rr_u64 offset, rr_u64 size, rr_u32 phase)
{
	int ret = chain_read_tagged(c, c->file, offset, (rr_u32)size + CHAIN_SSTABLE_TRAILER,
				    phase == CHAIN_SSTABLE_DATA ? 0 : CHAIN_KEEP, phase);

	return ret ? ret : CHAIN_MORE;
}

RR_STEP int chain_sstable_footer(chain_t *c, chain_block_t *block, rr_u32 bytes,
				 chain_sstable_query_t *q)
{
	struct chain_sstable_cursor x = {};
	rr_u64 offset, size;

	x.end = 40;
	if (bytes != CHAIN_SSTABLE_FOOTER || chain_get64(block, 40) != CHAIN_SSTABLE_MAGIC)
		return -CHAIN_EUCLEAN;
	if (chain_sstable_handle(block, &x, &offset, &size))
		return -CHAIN_EUCLEAN;
	q->meta_offset = offset;
	q->meta_bytes = size;
	if (chain_sstable_handle(block, &x, &offset, &size))
		return -CHAIN_EUCLEAN;
	return chain_sstable_read(c, offset, size, CHAIN_SSTABLE_INDEX);
}

RR_STEP int chain_sstable_index(chain_t *c, chain_block_t *block, rr_u32 bytes,
				chain_sstable_query_t *q)
{
	struct chain_sstable_entry e = {};
	struct chain_sstable_cursor x = {};
	rr_u64 offset, size;
	int ret = chain_sstable_seek(block, bytes, q, &e);

	if (ret <= 0)
		return ret ? ret : CHAIN_DONE; /* behind the table's last key */
	x.at = e.value_at;
	x.end = e.value_at + e.value_bytes;
	if (chain_sstable_handle(block, &x, &offset, &size))
		return -CHAIN_EUCLEAN;
	q->data_offset = offset;
	q->data_bytes = size;
	if (q->flags & CHAIN_SSTABLE_NO_FILTER || !q->meta_bytes)
		return chain_sstable_read(c, offset, size, CHAIN_SSTABLE_DATA);
	return chain_sstable_read(c, q->meta_offset, q->meta_bytes, CHAIN_SSTABLE_META);
}

RR_STEP int chain_sstable_meta(chain_t *c, chain_block_t *block, rr_u32 bytes,
			       chain_sstable_query_t *q)
{
	/* "filter.leveldb.BuiltinBloomFilter2": the key's bytes, least byte first. */
	static const rr_u64 name[] = { 0x6c2e7265746c6966ULL, 0x422e62646c657665ULL,
				       0x6c426e69746c6975ULL, 0x65746c69466d6f6fULL, 0x3272ULL };
	struct chain_sstable_entry e = {};
	struct chain_sstable_cursor x = {};
	rr_u64 offset, size;
	rr_s32 i;

	x.end = bytes < 4 ? 0 : bytes - 4;
	rr_for (i, 64) {
		rr_u8 __arena *at = q->at;

		if (x.at >= x.end || chain_sstable_entry(block, q, &x, &e))
			break; /* none, or the restarts: no filter */
		if (e.key_bytes != CHAIN_SSTABLE_FILTER_NAME || chain_get64(at, 0) != name[0] ||
		    chain_get64(at, 8) != name[1] || chain_get64(at, 16) != name[2] ||
		    chain_get64(at, 24) != name[3] || chain_get16(at, 32) != name[4])
			continue;
		x.at = e.value_at;
		x.end = e.value_at + e.value_bytes;
		if (chain_sstable_handle(block, &x, &offset, &size))
			return -CHAIN_EUCLEAN;
		return chain_sstable_read(c, offset, size, CHAIN_SSTABLE_FILTER);
	}
	return chain_sstable_read(c, q->data_offset, q->data_bytes, CHAIN_SSTABLE_DATA);
}

/* LevelDB's hash, as its filter uses it. */
RR_FN rr_u32 chain_sstable_hash(const rr_u8 __arena *p RR_ARG_ARENA, rr_u32 bytes)
{
	const rr_u32 m = 0xc6a4a793U;
	rr_u32 h = 0xbc9f1d34U ^ (bytes * m);
	rr_u32 rest = bytes & 3;
	rr_s32 i;

	rr_for (i, bytes >> 2) {
		h += chain_get32(p, (rr_u64)i << 2);
		h *= m;
		h ^= h >> 16;
	}
	p += bytes & ~3U;
	if (rest) {
		if (rest > 2)
			h += (rr_u32)p[2] << 16;
		if (rest > 1)
			h += (rr_u32)p[1] << 8;
		h += p[0];
		h *= m;
		h ^= h >> 24;
	}
	return h;
}

/* 0: the key is not in the data block. What is wrong with a filter means that it may be. */
RR_STEP int chain_sstable_may_match(chain_block_t *block, rr_u32 bytes, chain_sstable_query_t *q)
{
	rr_u32 array, count, begin, end, bits, h, delta, probes;
	rr_u64 n;
	rr_s32 i;

	if (bytes < 5 || block[bytes - 1] > 31)
		return 1;
	array = chain_get32(block, bytes - 5);
	if (array > bytes - 5)
		return 1;
	count = (bytes - 5 - array) / 4;
	n = q->data_offset >> block[bytes - 1];
	if (n >= count)
		return 1;
	begin = chain_get32(block, array + 4 * n);
	end = chain_get32(block, array + 4 * n + 4);
	if (begin == end)
		return 0;
	if (begin > end || end > array || end - begin < 2)
		return 1;
	probes = block[end - 1];
	if (probes > 30)
		return 1;
	bits = (end - begin - 1) * 8;
	h = chain_sstable_hash(q->key, q->key_bytes);
	delta = h >> 17 | h << 15;
	rr_for (i, probes) {
		rr_u32 bit = h % bits;

		if (!(block[begin + bit / 8] >> (bit & 7) & 1))
			return 0;
		h += delta;
	}
	return 1;
}

RR_STEP int chain_sstable_filter(chain_t *c, chain_block_t *block, rr_u32 bytes,
				 chain_sstable_query_t *q)
{
	if (!chain_sstable_may_match(block, bytes, q)) {
		q->filtered = 1;
		return CHAIN_DONE;
	}
	return chain_sstable_read(c, q->data_offset, q->data_bytes, CHAIN_SSTABLE_DATA);
}

RR_STEP int chain_sstable_data(chain_t *c, chain_block_t *block, rr_u32 bytes,
			       chain_sstable_query_t *q)
{
	struct chain_sstable_entry e = {};
	int ret = chain_sstable_seek(block, bytes, q, &e);
	rr_u32 user;

	if (ret <= 0)
		return ret ? ret : CHAIN_DONE;
	user = chain_sstable_user_bytes(q, e.key_bytes);
	if (user != q->key_bytes || chain_compare(q->at, q->key, user))
		return CHAIN_DONE;
	if (q->flags & CHAIN_SSTABLE_INTERNAL) {
		if (e.key_bytes < CHAIN_SSTABLE_SEQUENCE)
			return -CHAIN_EUCLEAN;
		q->sequence = chain_get64(q->at, user) >> 8;
		q->deleted = !q->at[user];
	}
	q->found = 1;
	if (q->deleted)
		return CHAIN_DONE;
	ret = chain_emit(c, block + e.value_at, e.value_bytes);
	return ret ? ret : CHAIN_DONE;
}

/* The step. */
RR_STEP int chain_sstable_step(chain_t *c, chain_block_t *block, rr_u32 bytes)
{
	chain_sstable_query_t *q = chain_scratch(c, struct chain_sstable_query);
	rr_u32 size = bytes - CHAIN_SSTABLE_TRAILER;
	rr_u32 crc;

	if (!q || q->key_bytes > CHAIN_SSTABLE_KEY_MAX)
		return -CHAIN_EINVAL;
	if (!c->hop)
		return chain_sstable_footer(c, block, bytes, q);
	if (bytes < CHAIN_SSTABLE_TRAILER)
		return -CHAIN_EUCLEAN;
	if (q->flags & CHAIN_SSTABLE_CHECK) {
		crc = chain_crc32c(block, size + 1);
		crc = (crc >> 15 | crc << 17) + 0xa282ead8U;
		if (crc != chain_get32(block, size + 1))
			return CHAIN_AGAIN;
	}
	/* The filter is never compressed. */
	if (block[size])
		return block[size] < 8 ? -CHAIN_EOPNOTSUPP : -CHAIN_EUCLEAN;
	switch (c->tag) {
	case CHAIN_SSTABLE_INDEX:
		return chain_sstable_index(c, block, size, q);
	case CHAIN_SSTABLE_META:
		return chain_sstable_meta(c, block, size, q);
	case CHAIN_SSTABLE_FILTER:
		return chain_sstable_filter(c, block, size, q);
	default:
		return chain_sstable_data(c, block, size, q);
	}
}

#endif /* RINGRAID_CHAIN_SSTABLE_H */
