/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Filter, project, aggregate: a scan over pages of rows of one size.
 *
 *   page: struct chain_rows_page | row | row | ...
 *
 * The query names conditions, all of which a row must meet; then columns whose
 * bytes are emitted, or a number of which count, sum, least, greatest and the
 * greatest few are kept in the scratch. Aggregates do not care for order: as many
 * pages are read at a time as the chain has fan-out. Projection goes page by page,
 * and where the output is full the query says where to go on.
 *
 * Numbers are 1, 2, 4 or 8 bytes, least byte first, signed or not. Sums wrap.
 */
#ifndef RINGRAID_CHAIN_SCAN_H
#define RINGRAID_CHAIN_SCAN_H

#include "chain_sum.h"

#define CHAIN_ROWS_MAGIC 0x57527272U /* "rrRW" */

enum {
	CHAIN_SCAN_CONDITIONS = 4,
	CHAIN_SCAN_COLUMNS = 8,
	CHAIN_SCAN_TOP = 32,
	CHAIN_ROWS_SUM_FROM = 8,
};

enum {
	CHAIN_SCAN_CHECK = 1 << 0, /* checksums */
};

enum chain_scan_op {
	CHAIN_SCAN_EQ = 0,
	CHAIN_SCAN_NE,
	CHAIN_SCAN_LT,
	CHAIN_SCAN_LE,
	CHAIN_SCAN_GT,
	CHAIN_SCAN_GE,
	CHAIN_SCAN_MASK, /* all bits of the value are set */
};

struct chain_rows_page {
	rr_u64 sum;
	rr_u32 magic;
	rr_u32 rows;
	rr_u32 row_bytes;
	rr_u32 pad[3];
};

struct chain_number {
	rr_u16 offset; /* in the row */
	rr_u8 bytes;   /* 0: none */
	rr_u8 is_signed;
	rr_u8 op; /* of a condition */
	rr_u8 pad[3];
	rr_u64 value; /* to compare with; a negative one as two's complement */
};

struct chain_column {
	rr_u16 offset;
	rr_u16 bytes; /* 0: none */
};

struct chain_scan_query {
	rr_u64 end; /* offset behind the last page; the look-up's is the first */
	rr_u8 flags;
	rr_u8 top_most; /* how many of the greatest, at most CHAIN_SCAN_TOP */
	rr_u8 more;	/* the output is full; go on at .next */
	rr_u8 top_count;
	rr_u32 pad;
	struct chain_number condition[CHAIN_SCAN_CONDITIONS];
	struct chain_column column[CHAIN_SCAN_COLUMNS];
	struct chain_number number; /* what is aggregated */
	/* Results. */
	rr_u64 rows;
	rr_u64 count; /* that met the conditions */
	rr_u64 sum;
	rr_u64 min, max; /* two's complement where the number is signed */
	rr_u64 top[CHAIN_SCAN_TOP];
	rr_u64 next;
};

typedef struct chain_scan_query __arena chain_scan_query_t;

/* The number, sign-extended. */
RR_STEP rr_u64 chain_number_of(chain_block_t *row, const struct chain_number __arena *n)
{
	rr_u32 at = n->offset;

	switch (n->bytes) {
	case 1:
		return n->is_signed ? (rr_u64)(rr_s64)(signed char)row[at] : row[at];
	case 2:
		return n->is_signed ? (rr_u64)(rr_s64)(short)chain_get16(row, at)
				    : chain_get16(row, at);
	case 4:
		return n->is_signed ? (rr_u64)(rr_s64)(rr_s32)chain_get32(row, at)
				    : chain_get32(row, at);
	default:
		return chain_get64(row, at);
	}
}

/* In an order of unsigned numbers. */
#define chain_number_rank(n, v) ((v) ^ ((n)->is_signed ? 1ULL << 63 : 0))

RR_STEP int chain_number_is_in(const struct chain_number __arena *n, rr_u32 row_bytes)
{
	return (n->bytes == 1 || n->bytes == 2 || n->bytes == 4 || n->bytes == 8) &&
	       chain_fits(row_bytes, n->offset, n->bytes);
}

RR_FN int chain_scan_meets(chain_block_t *row RR_ARG_ARENA, chain_scan_query_t *q RR_ARG_ARENA)
{
	rr_s32 i;

	rr_for (i, CHAIN_SCAN_CONDITIONS) {
		const struct chain_number __arena *n = &q->condition[i & 3];
		rr_u64 v, w;
		int meets;

		if (!n->bytes)
			break;
		v = chain_number_rank(n, chain_number_of(row, n));
		w = chain_number_rank(n, n->value);
		switch (n->op) {
		case CHAIN_SCAN_EQ:
			meets = v == w;
			break;
		case CHAIN_SCAN_NE:
			meets = v != w;
			break;
		case CHAIN_SCAN_LT:
			meets = v < w;
			break;
		case CHAIN_SCAN_LE:
			meets = v <= w;
			break;
		case CHAIN_SCAN_GT:
			meets = v > w;
			break;
		case CHAIN_SCAN_GE:
			meets = v >= w;
			break;
		default:
			meets = (chain_number_of(row, n) & n->value) == n->value;
		}
		if (!meets)
			return 0;
	}
	return 1;
}

/* Into the greatest few, which are in order. */
RR_STEP void chain_scan_top(chain_scan_query_t *q, rr_u64 value)
{
	rr_u32 most = q->top_most < CHAIN_SCAN_TOP ? q->top_most : (rr_u32)CHAIN_SCAN_TOP;
	rr_u32 at = rr_counted_from(q->top_count);
	rr_s32 i;

	if (at >= most) {
		at = most - 1;
		if (chain_number_rank(&q->number, value) <=
		    chain_number_rank(&q->number, q->top[at & (CHAIN_SCAN_TOP - 1)]))
			return;
	} else {
		q->top_count++;
	}
	rr_for (i, CHAIN_SCAN_TOP) {
		rr_u64 above;

		if (!at)
			break;
		above = q->top[(at - 1) & (CHAIN_SCAN_TOP - 1)];
		if (chain_number_rank(&q->number, above) >= chain_number_rank(&q->number, value))
			break;
		q->top[at & (CHAIN_SCAN_TOP - 1)] = above;
		at--;
	}
	q->top[at & (CHAIN_SCAN_TOP - 1)] = value;
}

RR_FN int chain_scan_add(chain_block_t *row RR_ARG_ARENA, chain_scan_query_t *q RR_ARG_ARENA)
{
	rr_u64 v = chain_number_of(row, &q->number);
	rr_u64 rank = chain_number_rank(&q->number, v);

	q->sum += v;
	if (q->count == 1 || rank < chain_number_rank(&q->number, q->min))
		q->min = v;
	if (q->count == 1 || rank > chain_number_rank(&q->number, q->max))
		q->max = v;
	if (q->top_most)
		chain_scan_top(q, v);
	return 0;
}

/* The row's columns: 0 or -CHAIN_ENOSPC. */
RR_FN int chain_scan_project(chain_t *c RR_ARG_ARENA, chain_block_t *row RR_ARG_ARENA,
			     chain_scan_query_t *q RR_ARG_ARENA)
{
	rr_s32 i;

	rr_for (i, CHAIN_SCAN_COLUMNS) {
		const struct chain_column __arena *column =
			&q->column[i & (CHAIN_SCAN_COLUMNS - 1)];

		if (!column->bytes)
			break;
		if (chain_emit(c, row + column->offset, column->bytes))
			return -CHAIN_ENOSPC;
	}
	return 0;
}

/* What the query looks at is in the rows, and the rows are in the page. */
RR_FN int chain_scan_is_sound(chain_block_t *block RR_ARG_ARENA, rr_u32 bytes,
			      chain_scan_query_t *q RR_ARG_ARENA)
{
	const struct chain_rows_page __arena *page = (const struct chain_rows_page __arena *)block;
	rr_u32 row_bytes = page->row_bytes;
	rr_s32 i;

	if (page->magic != CHAIN_ROWS_MAGIC || !row_bytes || page->rows > bytes ||
	    !chain_fits(bytes, sizeof(*page), (rr_u64)page->rows * row_bytes))
		return 0;
	rr_for (i, CHAIN_SCAN_CONDITIONS)
		if (q->condition[i & 3].bytes &&
		    !chain_number_is_in(&q->condition[i & 3], row_bytes))
			return 0;
	rr_for (i, CHAIN_SCAN_COLUMNS)
		if (!chain_fits(row_bytes, q->column[i & 7].offset, q->column[i & 7].bytes))
			return 0;
	return !q->number.bytes || chain_number_is_in(&q->number, row_bytes);
}

/* The rows of a page: 0, or -CHAIN_ENOSPC with the query as it was. */
RR_STEP int chain_scan_rows(chain_t *c, chain_block_t *block, chain_scan_query_t *q)
{
	const struct chain_rows_page __arena *page = (const struct chain_rows_page __arena *)block;
	rr_u64 rows = q->rows, count = q->count;
	rr_u32 used = c->out_used, row_bytes = page->row_bytes;
	rr_s32 i;

	block += sizeof(*page);
	rr_for (i, page->rows) {
		chain_block_t *row = block + (rr_u64)i * row_bytes;

		q->rows++;
		if (!chain_scan_meets(row, q))
			continue;
		q->count++;
		if (q->number.bytes)
			chain_scan_add(row, q);
		if (q->column[0].bytes && chain_scan_project(c, row, q)) {
			q->rows = rows;
			q->count = count;
			c->out_used = used;
			return -CHAIN_ENOSPC;
		}
	}
	return 0;
}

/* The step. */
RR_STEP int chain_scan_step(chain_t *c, chain_block_t *block, rr_u32 bytes)
{
	chain_scan_query_t *q = chain_scratch(c, struct chain_scan_query);
	const struct chain_rows_page __arena *page = (const struct chain_rows_page __arena *)block;
	rr_u32 asked = rr_counted_from(0);
	rr_s32 i;

	if (!q || bytes < sizeof(*page) || c->offset & 7)
		return -CHAIN_EINVAL;
	if (q->flags & CHAIN_SCAN_CHECK &&
	    page->sum != chain_xxh64(block + CHAIN_ROWS_SUM_FROM, bytes - CHAIN_ROWS_SUM_FROM,
				     c->offset))
		return CHAIN_AGAIN;
	/* Both at once could not be taken back where the output is full. */
	if (q->column[0].bytes && q->number.bytes)
		return -CHAIN_EINVAL;
	if (!chain_scan_is_sound(block, bytes, q))
		return -CHAIN_EUCLEAN;
	if (!c->hop)
		q->next = c->offset + bytes;
	if (chain_scan_rows(c, block, q)) {
		if (!c->out_used)
			return -CHAIN_ENOSPC;
		q->more = 1;
		q->next = c->offset;
		return CHAIN_DONE;
	}
	rr_for (i, CHAIN_FAN_OUT) {
		int ret;

		if (q->next >= q->end || (q->column[0].bytes && asked))
			break;
		ret = chain_read(c, c->file, q->next, bytes, 0);
		if (ret == -CHAIN_ENOSPC)
			break;
		if (ret)
			return ret;
		asked++;
		q->next += bytes;
	}
	return asked || c->under_way ? CHAIN_MORE : CHAIN_DONE;
}

#endif /* RINGRAID_CHAIN_SCAN_H */
