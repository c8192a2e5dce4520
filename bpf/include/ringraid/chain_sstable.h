/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tables of log-structured stores, in the formats of LevelDB and, as far as
 * chain_rocksdb.h says, of RocksDB: look-up of a key.
 *
 *   footer -> index block -> [metaindex block -> filter block ->] data block
 *
 * The look-up begins with the last 48 bytes of the file, or with the last 53, which
 * saves RocksDB's tables a hop. The filter (LevelDB's built-in Bloom filter) is asked
 * before the data block is read. All but data blocks are read with CHAIN_KEEP: with a
 * cache, and most of the tables' blocks in it, a look-up is one read, or none where
 * the filter says no.
 *
 * Tables of a database have its sequence number and kind behind each key
 * (CHAIN_SSTABLE_INTERNAL; RocksDB's always): the newest value of the key is found, or
 * its deletion. Compressed blocks give -EOPNOTSUPP. The chain's block_bytes must hold
 * the largest block, which is the index: else -E2BIG.
 *
 * Format: doc/table_format.md of github.com/google/leveldb.
 */
#ifndef RINGRAID_CHAIN_SSTABLE_H
#define RINGRAID_CHAIN_SSTABLE_H

#include "chain_rocksdb.h"

#define CHAIN_SSTABLE_MAGIC 0xdb4775248b80fb57ULL

enum {
	CHAIN_SSTABLE_FOOTER = 48,
	CHAIN_ROCKSDB_MORE = 5, /* that RocksDB's footer has */
	CHAIN_SSTABLE_FILTER_NAME = 34,
};

RR_STEP int chain_sstable_footer(chain_t *c, chain_block_t *block, rr_u32 bytes,
				 chain_sstable_query_t *q)
{
	struct chain_sstable_cursor x = chain_sstable_cursor(0, 40, 0);
	rr_u64 offset, size, magic;
	int ret;

	if (bytes != CHAIN_SSTABLE_FOOTER && bytes != CHAIN_ROCKSDB_FOOTER)
		return -CHAIN_EUCLEAN;
	q->found = q->deleted = q->filtered = 0;
	q->rocksdb = 0;
	q->checksum = CHAIN_SSTABLE_CRC32C;
	q->context = 0;
	q->data_bytes = 0;
	magic = chain_get64(block, bytes - 8);
	if (magic == CHAIN_ROCKSDB_MAGIC) {
		if (bytes == CHAIN_ROCKSDB_FOOTER)
			return chain_rocksdb_footer(c, block, bytes, q);
		if (c->offset < CHAIN_ROCKSDB_MORE)
			return -CHAIN_EUCLEAN;
		ret = chain_read_tagged(c, c->file, c->offset - CHAIN_ROCKSDB_MORE,
					CHAIN_ROCKSDB_FOOTER, CHAIN_KEEP, CHAIN_ROCKSDB_FOOT);
		return ret ? ret : CHAIN_MORE;
	}
	block += bytes - CHAIN_SSTABLE_FOOTER;
	if (magic != CHAIN_SSTABLE_MAGIC || chain_sstable_handle(block, &x, &offset, &size))
		return -CHAIN_EUCLEAN;
	q->meta_offset = offset;
	q->meta_bytes = size;
	if (chain_sstable_handle(block, &x, &offset, &size))
		return -CHAIN_EUCLEAN;
	return chain_sstable_read(c, offset, size, CHAIN_SSTABLE_INDEX);
}

RR_STEP rr_u32 chain_sstable_how(chain_sstable_query_t *q)
{
	return q->flags & CHAIN_SSTABLE_INTERNAL ? CHAIN_SSTABLE_SUFFIX : 0;
}

RR_FN int chain_sstable_index(chain_t *c RR_ARG_ARENA, chain_block_t *block RR_ARG_ARENA,
			      rr_u32 bytes, chain_sstable_query_t *q RR_ARG_ARENA)
{
	struct chain_sstable_entry e = {};
	struct chain_sstable_cursor x = {};
	rr_u64 offset, size;
	int ret = chain_sstable_seek(block, bytes, q, &e, chain_sstable_how(q));

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

RR_FN int chain_sstable_meta(chain_t *c RR_ARG_ARENA, chain_block_t *block RR_ARG_ARENA,
			     rr_u32 bytes, chain_sstable_query_t *q RR_ARG_ARENA)
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

RR_FN int chain_sstable_data(chain_t *c RR_ARG_ARENA, chain_block_t *block RR_ARG_ARENA,
			     rr_u32 bytes, chain_sstable_query_t *q RR_ARG_ARENA)
{
	struct chain_sstable_entry e = {};
	int ret = chain_sstable_seek(block, bytes, q, &e, chain_sstable_how(q));
	rr_u32 user;

	if (ret <= 0)
		return ret ? ret : CHAIN_DONE;
	user = chain_sstable_user_bytes(chain_sstable_how(q), e.key_bytes);
	if (user != q->key_bytes || chain_compare(q->at, q->key, user))
		return CHAIN_DONE;
	if (q->flags & CHAIN_SSTABLE_INTERNAL) {
		if (e.key_bytes < CHAIN_SSTABLE_SEQUENCE)
			return -CHAIN_EUCLEAN;
		q->sequence = chain_get64(q->at, user) >> 8;
		q->deleted = q->at[user] == CHAIN_ROCKSDB_DELETION ||
			     q->at[user] == CHAIN_ROCKSDB_SINGLE_DELETION;
		if (!q->deleted && q->at[user] != CHAIN_ROCKSDB_VALUE)
			return q->rocksdb ? -CHAIN_EOPNOTSUPP : -CHAIN_EUCLEAN;
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
	int ret;

	if (!q || q->key_bytes > CHAIN_SSTABLE_KEY_MAX)
		return -CHAIN_EINVAL;
	if (!c->hop || c->tag == CHAIN_ROCKSDB_FOOT)
		return chain_sstable_footer(c, block, bytes, q);
	if (bytes < CHAIN_SSTABLE_TRAILER)
		return -CHAIN_EUCLEAN;
	if (q->flags & CHAIN_SSTABLE_CHECK) {
		ret = chain_sstable_sum(block, size + 1, q, c->offset,
					chain_get32(block, size + 1));
		if (ret)
			return ret;
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
	case CHAIN_ROCKSDB_META:
		return chain_rocksdb_meta(c, block, size, q);
	case CHAIN_ROCKSDB_PROPERTIES:
		return chain_rocksdb_properties(c, block, size, q);
	case CHAIN_ROCKSDB_INDEX:
		return chain_rocksdb_index(c, block, size, q);
	default:
		return chain_sstable_data(c, block, size, q);
	}
}

#endif /* RINGRAID_CHAIN_SSTABLE_H */
