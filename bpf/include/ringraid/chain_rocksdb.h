/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is RocksDB's own in the tables that chain_sstable.h reads: block-based ones, of
 * format versions 2 to 6.
 *
 *   footer -> metaindex -> properties -> index -> data block
 *
 * The footer has 53 bytes: where the metaindex is, and the kind of checksum. Version 6
 * has a checksum of itself, and a number that goes into those of all blocks. The
 * properties say how the index is written. A table that the step would misread, it
 * refuses with -EOPNOTSUPP:
 *
 *   - compressed blocks
 *   - an index of partitions, of hashes, or with first keys; data blocks with hashes
 *   - keys in another order than that of their bytes, or with time stamps
 *   - deletions of ranges; a key's value that is a merge, a blob, or has columns
 *   - CHAIN_SSTABLE_CHECK where checksums are neither CRC-32C nor XXH3 nor absent
 *
 * Filters are not asked: their hash is a preview of XXH3. The sequence number of an
 * ingested file is in the database's manifest, not here.
 */
#ifndef RINGRAID_CHAIN_ROCKSDB_H
#define RINGRAID_CHAIN_ROCKSDB_H

#include "chain_sstable_block.h"

#define CHAIN_ROCKSDB_MAGIC 0x88e241b785f4cff7ULL

enum {
	CHAIN_ROCKSDB_FOOTER = 53,
	CHAIN_ROCKSDB_OLDEST = 2,
	CHAIN_ROCKSDB_NEWEST = 6,
	CHAIN_ROCKSDB_MARK = 0x007a003e, /* where older versions have handles */
};

/* Kinds of entries, behind a key's sequence number. */
enum {
	CHAIN_ROCKSDB_DELETION = 0,
	CHAIN_ROCKSDB_VALUE = 1,
	CHAIN_ROCKSDB_SINGLE_DELETION = 7,
};

/* Names in the metaindex and in the properties. */
enum chain_rocksdb_name {
	CHAIN_ROCKSDB_NAME_OTHER = 0,
	CHAIN_ROCKSDB_NAME_INDEX,
	CHAIN_ROCKSDB_NAME_PROPERTIES,
	CHAIN_ROCKSDB_NAME_RANGES,
	CHAIN_ROCKSDB_NAME_KIND,
	CHAIN_ROCKSDB_NAME_USER_KEYS,
	CHAIN_ROCKSDB_NAME_BARE,
	CHAIN_ROCKSDB_NAME_ORDER,
	CHAIN_ROCKSDB_NAMES = 8,
	CHAIN_ROCKSDB_NAME_MAX = 64,
};

struct chain_rocksdb_text {
	rr_u32 bytes;
	char text[CHAIN_ROCKSDB_NAME_MAX];
};

#define CHAIN_ROCKSDB_TEXT(text) { sizeof(text) - 1, text }

static const struct chain_rocksdb_text chain_rocksdb_names[CHAIN_ROCKSDB_NAMES]
	__attribute__((unused)) = {
		/* The order of keys that is read, and not a name. */
		CHAIN_ROCKSDB_TEXT("leveldb.BytewiseComparator"),
		CHAIN_ROCKSDB_TEXT("rocksdb.index"),
		CHAIN_ROCKSDB_TEXT("rocksdb.properties"),
		CHAIN_ROCKSDB_TEXT("rocksdb.range_del"),
		CHAIN_ROCKSDB_TEXT("rocksdb.block.based.table.index.type"),
		CHAIN_ROCKSDB_TEXT("rocksdb.index.key.is.user.key"),
		CHAIN_ROCKSDB_TEXT("rocksdb.index.value.is.delta.encoded"),
		CHAIN_ROCKSDB_TEXT("rocksdb.comparator"),
	};

/* Of text number @n; a function of its own, see chain_xxh3_mix(). */
RR_FN rr_u32 chain_rocksdb_letter(rr_u32 n, rr_u32 at)
{
	return (rr_u8)chain_rocksdb_names[n & (CHAIN_ROCKSDB_NAMES - 1)]
		.text[at & (CHAIN_ROCKSDB_NAME_MAX - 1)];
}

/* Whether these bytes are text number @n. */
RR_FN int chain_rocksdb_is(const rr_u8 __arena *p RR_ARG_ARENA, rr_u32 bytes, rr_u32 n)
{
	rr_s32 i;

	if (bytes != chain_rocksdb_names[n & (CHAIN_ROCKSDB_NAMES - 1)].bytes)
		return 0;
	rr_for (i, bytes)
		if (p[i] != chain_rocksdb_letter(n, i))
			return 0;
	return 1;
}

/* enum chain_rocksdb_name of an entry's key. */
RR_FN int chain_rocksdb_name(chain_sstable_query_t *q RR_ARG_ARENA, rr_u32 bytes)
{
	rr_s32 i;

	rr_for (i, CHAIN_ROCKSDB_NAMES)
		if (i && chain_rocksdb_is(q->at, bytes, i))
			return i;
	return CHAIN_ROCKSDB_NAME_OTHER;
}

/* What checksums of what is at @offset differ by from those of the same bytes elsewhere. */
RR_STEP rr_u32 chain_rocksdb_context(chain_sstable_query_t *q, rr_u64 offset)
{
	return q->context ? q->context ^ ((rr_u32)offset + (rr_u32)(offset >> 32)) : 0;
}

/* XXH3 of all but the last byte, which is mixed in. */
RR_STEP rr_u32 chain_rocksdb_xxh3(const rr_u8 __arena *p, rr_u32 bytes)
{
	return (rr_u32)chain_xxh3(p, bytes - 1) ^ p[bytes - 1] * 0x6b9083d9U;
}

RR_STEP rr_u32 chain_sstable_crc(const rr_u8 __arena *p, rr_u32 bytes)
{
	rr_u32 crc = chain_crc32c(p, bytes);

	return (crc >> 15 | crc << 17) + 0xa282ead8U;
}

/* Of @bytes at @p, which are at @offset of the file: 0: @sum is right. */
RR_FN int chain_sstable_sum(const rr_u8 __arena *p RR_ARG_ARENA, rr_u32 bytes,
			    chain_sstable_query_t *q RR_ARG_ARENA, rr_u64 offset, rr_u32 sum)
{
	rr_u32 context = chain_rocksdb_context(q, offset);

	switch (q->checksum) {
	case CHAIN_SSTABLE_NO_SUM:
		return 0;
	case CHAIN_SSTABLE_CRC32C:
		return chain_sstable_crc(p, bytes) + context == sum ? 0 : CHAIN_AGAIN;
	case CHAIN_SSTABLE_XXH3:
		/* No block with an entry in it is that short. */
		if (bytes <= CHAIN_XXH3_LEAST)
			return -CHAIN_EUCLEAN;
		return chain_rocksdb_xxh3(p, bytes) + context == sum ? 0 : CHAIN_AGAIN;
	}
	return -CHAIN_EOPNOTSUPP;
}

RR_FN int chain_rocksdb_footer(chain_t *c RR_ARG_ARENA, chain_block_t *block RR_ARG_ARENA,
			       rr_u32 bytes, chain_sstable_query_t *q RR_ARG_ARENA)
{
	struct chain_sstable_cursor x = chain_sstable_cursor(1, 41, 0);
	rr_u32 version = chain_get32(block, 41), sum;
	rr_u64 offset, size;
	int ret;

	if (bytes != CHAIN_ROCKSDB_FOOTER || chain_get64(block, 45) != CHAIN_ROCKSDB_MAGIC)
		return -CHAIN_EUCLEAN;
	if (version < CHAIN_ROCKSDB_OLDEST || version > CHAIN_ROCKSDB_NEWEST)
		return -CHAIN_EOPNOTSUPP;
	q->rocksdb = version;
	q->flags |= CHAIN_SSTABLE_INTERNAL;
	q->checksum = block[0];
	if (version < 6) {
		if (chain_sstable_handle(block, &x, &offset, &size))
			return -CHAIN_EUCLEAN;
		q->meta_offset = offset;
		q->meta_bytes = size;
		if (chain_sstable_handle(block, &x, &offset, &size))
			return -CHAIN_EUCLEAN;
		q->data_offset = offset;
		q->data_bytes = size;
		return chain_sstable_read(c, q->meta_offset, q->meta_bytes, CHAIN_ROCKSDB_META);
	}
	size = chain_get32(block, 13);
	if (chain_get32(block, 1) != CHAIN_ROCKSDB_MARK || chain_get64(block, 33) ||
	    size + CHAIN_SSTABLE_TRAILER > c->offset)
		return -CHAIN_EUCLEAN;
	q->context = chain_get32(block, 9);
	if (q->flags & CHAIN_SSTABLE_CHECK) {
		/* Of the footer as it is without it. */
		sum = chain_get32(block, 5);
		chain_copy(q->at, block, bytes);
		*(chain_u32 __arena *)(q->at + 5) = 0;
		ret = chain_sstable_sum(q->at, bytes, q, c->offset, sum);
		if (ret)
			return ret;
	}
	q->meta_bytes = size;
	q->meta_offset = c->offset - CHAIN_SSTABLE_TRAILER - size;
	return chain_sstable_read(c, q->meta_offset, size, CHAIN_ROCKSDB_META);
}

RR_FN int chain_rocksdb_meta(chain_t *c RR_ARG_ARENA, chain_block_t *block RR_ARG_ARENA,
			     rr_u32 bytes, chain_sstable_query_t *q RR_ARG_ARENA)
{
	struct chain_sstable_cursor x = {};
	struct chain_sstable_entry e = {};
	rr_u64 offset, size, properties = 0, properties_bytes = 0;
	rr_u32 restarts = 0;
	rr_s32 i;
	int ret = chain_sstable_restarts(block, bytes, &restarts);

	if (ret < 0)
		return ret;
	x.end = ret;
	rr_for (i, bytes) {
		struct chain_sstable_cursor value;

		if (x.at >= x.end)
			break;
		ret = chain_sstable_entry(block, q, &x, &e);
		if (ret)
			return ret;
		ret = chain_rocksdb_name(q, e.key_bytes);
		if (ret == CHAIN_ROCKSDB_NAME_RANGES)
			return -CHAIN_EOPNOTSUPP;
		if (ret != CHAIN_ROCKSDB_NAME_INDEX && ret != CHAIN_ROCKSDB_NAME_PROPERTIES)
			continue;
		value = chain_sstable_cursor(e.value_at, e.value_at + e.value_bytes, 0);
		if (chain_sstable_handle(block, &value, &offset, &size))
			return -CHAIN_EUCLEAN;
		if (ret == CHAIN_ROCKSDB_NAME_INDEX) {
			q->data_offset = offset;
			q->data_bytes = size;
		} else {
			properties = offset;
			properties_bytes = size;
		}
	}
	if (!q->data_bytes || !properties_bytes)
		return -CHAIN_EUCLEAN;
	return chain_sstable_read(c, properties, properties_bytes, CHAIN_ROCKSDB_PROPERTIES);
}

/* One of them: 0, or that the table cannot be read. */
RR_FN int chain_rocksdb_property(chain_block_t *block RR_ARG_ARENA,
				 chain_sstable_query_t *q RR_ARG_ARENA, rr_u32 name, rr_u32 at,
				 rr_u32 bytes)
{
	struct chain_sstable_cursor value = chain_sstable_cursor(at, at + bytes, 0);

	switch (name) {
	case CHAIN_ROCKSDB_NAME_KIND:
		return bytes == 4 && !chain_get32(block, at) ? 0 : -CHAIN_EOPNOTSUPP;
	case CHAIN_ROCKSDB_NAME_USER_KEYS:
		if (chain_varint(block, &value))
			q->index &= ~CHAIN_SSTABLE_SUFFIX;
		break;
	case CHAIN_ROCKSDB_NAME_BARE:
		if (chain_varint(block, &value))
			q->index |= CHAIN_SSTABLE_BARE;
		break;
	case CHAIN_ROCKSDB_NAME_ORDER:
		return chain_rocksdb_is(block + at, bytes, 0) ? 0 : -CHAIN_EOPNOTSUPP;
	}
	return value.bad ? -CHAIN_EUCLEAN : 0;
}

RR_FN int chain_rocksdb_properties(chain_t *c RR_ARG_ARENA, chain_block_t *block RR_ARG_ARENA,
				   rr_u32 bytes, chain_sstable_query_t *q RR_ARG_ARENA)
{
	struct chain_sstable_cursor x = {};
	struct chain_sstable_entry e = {};
	rr_u32 restarts = 0;
	rr_s32 i;
	int ret = chain_sstable_restarts(block, bytes, &restarts);

	if (ret < 0)
		return ret;
	x.end = ret;
	q->index = CHAIN_SSTABLE_SUFFIX;
	rr_for (i, bytes) {
		if (x.at >= x.end)
			break;
		ret = chain_sstable_entry(block, q, &x, &e);
		if (ret)
			return ret;
		ret = chain_rocksdb_property(block, q, chain_rocksdb_name(q, e.key_bytes),
					     e.value_at, e.value_bytes);
		if (ret)
			return ret;
	}
	return chain_sstable_read(c, q->data_offset, q->data_bytes, CHAIN_ROCKSDB_INDEX);
}

RR_FN int chain_rocksdb_index(chain_t *c RR_ARG_ARENA, chain_block_t *block RR_ARG_ARENA,
			      rr_u32 bytes, chain_sstable_query_t *q RR_ARG_ARENA)
{
	struct chain_sstable_entry e = {};
	struct chain_sstable_cursor x;
	rr_u64 offset, size;
	int ret = chain_sstable_seek(block, bytes, q, &e, q->index);

	if (ret <= 0)
		return ret ? ret : CHAIN_DONE; /* behind the table's last key */
	if (q->index & CHAIN_SSTABLE_BARE)
		return chain_sstable_read(c, e.offset, e.size, CHAIN_SSTABLE_DATA);
	x = chain_sstable_cursor(e.value_at, e.value_at + e.value_bytes, 0);
	if (chain_sstable_handle(block, &x, &offset, &size))
		return -CHAIN_EUCLEAN;
	return chain_sstable_read(c, offset, size, CHAIN_SSTABLE_DATA);
}

#endif /* RINGRAID_CHAIN_ROCKSDB_H */
