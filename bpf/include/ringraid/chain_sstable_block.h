/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Blocks of tables in the formats of LevelDB and RocksDB (chain_sstable.h): entries in
 * the order of their keys, each without the bytes that it shares with the one before;
 * behind them where every so many an entry is written in full, a restart; and their
 * number. What follows a block on disk is how it is compressed, and a checksum.
 */
#ifndef RINGRAID_CHAIN_SSTABLE_BLOCK_H
#define RINGRAID_CHAIN_SSTABLE_BLOCK_H

#include "chain_xxh3.h"

enum {
	CHAIN_SSTABLE_TRAILER = 5, /* kind of compression, checksum */
	CHAIN_SSTABLE_KEY_MAX = 1024,
	CHAIN_SSTABLE_SEQUENCE = 8, /* bytes behind a key of a database: sequence, kind */
};

enum {
	CHAIN_SSTABLE_CHECK = 1 << 0, /* checksums of blocks */
	CHAIN_SSTABLE_INTERNAL = 1 << 1,
	CHAIN_SSTABLE_NO_FILTER = 1 << 2,
};

enum chain_sstable_phase {
	CHAIN_SSTABLE_INDEX = 1,
	CHAIN_SSTABLE_META,
	CHAIN_SSTABLE_FILTER,
	CHAIN_SSTABLE_DATA,
	CHAIN_ROCKSDB_FOOT,
	CHAIN_ROCKSDB_META,
	CHAIN_ROCKSDB_PROPERTIES,
	CHAIN_ROCKSDB_INDEX,
};

/* Values of RocksDB's own. */
enum chain_sstable_checksum {
	CHAIN_SSTABLE_NO_SUM = 0,
	CHAIN_SSTABLE_CRC32C,
	CHAIN_SSTABLE_XXHASH,
	CHAIN_SSTABLE_XXHASH64,
	CHAIN_SSTABLE_XXH3,
};

/* How keys and values of a block are written. */
enum {
	CHAIN_SSTABLE_SUFFIX = 1 << 0, /* keys have sequence and kind behind them */
	CHAIN_SSTABLE_BARE = 1 << 1,   /* values are handles without a length */
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
	rr_u8 rocksdb;	/* version of the format, or 0 */
	rr_u8 checksum; /* enum chain_sstable_checksum */
	rr_u8 index;	/* how its keys and values are written */
	rr_u8 pads;
	rr_u32 context; /* what makes checksums of this file different */
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
	rr_u32 how; /* CHAIN_SSTABLE_SUFFIX, _BARE */
};

RR_STEP struct chain_sstable_cursor chain_sstable_cursor(rr_u32 at, rr_u32 end, rr_u32 how)
{
	struct chain_sstable_cursor x = {};

	x.at = at;
	x.end = end;
	x.how = how;
	return x;
}

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
	rr_u32 pad;
	rr_u64 offset, size; /* the handle, where values are bare */
};

RR_STEP rr_u32 chain_sstable_user_bytes(rr_u32 how, rr_u32 key_bytes)
{
	return how & CHAIN_SSTABLE_SUFFIX && key_bytes >= CHAIN_SSTABLE_SEQUENCE
		       ? key_bytes - CHAIN_SSTABLE_SEQUENCE
		       : key_bytes;
}

/* Where the entries of a block end: @restarts begin there. */
RR_STEP int chain_sstable_restarts(chain_block_t *block, rr_u32 bytes, rr_u32 *restarts)
{
	if (bytes < 4)
		return -CHAIN_EUCLEAN;
	*restarts = chain_get32(block, bytes - 4);
	/* With an index by hashes behind the restarts; of LevelDB it is a lie. */
	if (*restarts >> 31)
		return -CHAIN_EOPNOTSUPP;
	if (*restarts > bytes / 4 - 1)
		return -CHAIN_EUCLEAN;
	return (int)(bytes - 4 - 4 * *restarts);
}

/*
 * A handle without a length: where an entry shares nothing with the one before, in
 * full; else the block follows that one's, and this is the difference of their sizes.
 */
RR_STEP int chain_sstable_bare(chain_block_t *block, struct chain_sstable_cursor *x,
			       struct chain_sstable_entry *e, rr_u32 shares)
{
	rr_u64 n = chain_varint(block, x);

	if (shares) {
		e->offset += e->size + CHAIN_SSTABLE_TRAILER;
		e->size += n >> 1 ^ -(n & 1);
	} else {
		e->offset = n;
		e->size = chain_varint(block, x);
	}
	return x->bad ? -CHAIN_EUCLEAN : 0;
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
	value = x->how & CHAIN_SSTABLE_BARE ? 0 : chain_varint(block, x);
	if (x->bad || shared > e->key_bytes || own > CHAIN_SSTABLE_KEY_MAX ||
	    shared + own > CHAIN_SSTABLE_KEY_MAX || !chain_fits(x->end, x->at, own) ||
	    !chain_fits(x->end, x->at + own, value))
		return -CHAIN_EUCLEAN;
	chain_copy(q->at + shared, block + x->at, own);
	e->key_bytes = shared + own;
	e->value_at = x->at + own;
	e->value_bytes = value;
	x->at += own + value;
	return x->how & CHAIN_SSTABLE_BARE ? chain_sstable_bare(block, x, e, shared != 0) : 0;
}

/*
 * The first entry whose key is not less than the query's. 1: it is in @e; 0: there is
 * none; -errno.
 */
RR_FN int chain_sstable_seek(chain_block_t *block RR_ARG_ARENA, rr_u32 bytes,
			     chain_sstable_query_t *q RR_ARG_ARENA, struct chain_sstable_entry *e,
			     rr_u32 how)
{
	struct chain_sstable_cursor x = chain_sstable_cursor(0, 0, how);
	rr_u32 restarts = 0, low = rr_counted_from(0), high, restarts_at;
	rr_s32 i;
	int ret;

	if (!e)
		return -CHAIN_EINVAL;
	ret = chain_sstable_restarts(block, bytes, &restarts);
	if (ret < 0)
		return ret;
	if (!restarts)
		return 0;
	restarts_at = ret;
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
		user = chain_sstable_user_bytes(how, e->key_bytes);
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
		user = chain_sstable_user_bytes(how, e->key_bytes);
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
	int ret;

	if (size > CHAIN_BLOCK_MAX)
		return -CHAIN_EUCLEAN;
	ret = chain_read_tagged(c, c->file, offset, (rr_u32)size + CHAIN_SSTABLE_TRAILER,
				phase == CHAIN_SSTABLE_DATA ? 0 : CHAIN_KEEP, phase);

	return ret ? ret : CHAIN_MORE;
}

#endif /* RINGRAID_CHAIN_SSTABLE_BLOCK_H */
