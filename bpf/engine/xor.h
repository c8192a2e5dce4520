/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * XOR and copies of ranges of the arena, the engine's own loops.
 *
 * Lengths are whole sectors. A step is a constant 4 KiB, unrolled by 32 words,
 * so that BPF's loop counting does not count; single sectors make up the rest. What counts is
 * instructions per word of source: folding one source into dst takes 4.5 of them, two at once 3,
 * and starting with dst = two or three sources saves the first load of dst. So a stripe's parity is
 * computed in as few passes as its sources allow.
 *
 *   D = 3:  set3 (2 a word of source)            D = 4:  set2, xor2
 */
#ifndef RINGRAID_ENGINE_XOR_H
#define RINGRAID_ENGINE_XOR_H

#include "arena.h"

typedef rr_u64 __arena rr_word_t;

/* Runs @expression over words [0, n) in steps of 32, n constant. */
#define RR_XOR_WORDS(n, expression)                                                                \
	do {                                                                                       \
		rr_u32 w, k;                                                                       \
		for (w = 0; w < (n); w += 32) {                                                    \
			_Pragma("GCC unroll 32") for (k = 0; k < 32; k++)                          \
			{                                                                          \
				rr_u32 i = w + k;                                                  \
				expression;                                                        \
			}                                                                          \
		}                                                                                  \
	} while (0)

/* Runs @expression over all words of @sectors; @advance moves the pointers by `words`. */
#define RR_XOR_RANGE(sectors, expression, advance)                                                 \
	do {                                                                                       \
		rr_u32 words = 512;                                                                \
		rr_s32 step;                                                                       \
		rr_for (step, (sectors) >> 3) {                                                    \
			RR_XOR_WORDS(512, expression);                                             \
			advance;                                                                   \
		}                                                                                  \
		words = 64;                                                                        \
		rr_for (step, (sectors) & 7) {                                                     \
			RR_XOR_WORDS(64, expression);                                              \
			advance;                                                                   \
		}                                                                                  \
	} while (0)

/* All positions are byte offsets in the arena, below 4 GiB; @sectors at most a cell. */

/* dst = src */
RR_FN int rr_copy(rr_array_t *a RR_ARG_ARENA, rr_u64 dst, rr_u64 src, rr_u32 sectors)
{
	rr_word_t *d = (rr_word_t *)rr_at(a, dst);
	rr_word_t *x = (rr_word_t *)rr_at(a, src);

	RR_XOR_RANGE(sectors, d[i] = x[i], (d += words, x += words));
	return 0;
}

/* dst ^= src */
RR_FN int rr_xor(rr_array_t *a RR_ARG_ARENA, rr_u64 dst, rr_u64 src, rr_u32 sectors)
{
	rr_word_t *d = (rr_word_t *)rr_at(a, dst);
	rr_word_t *x = (rr_word_t *)rr_at(a, src);

	RR_XOR_RANGE(sectors, d[i] ^= x[i], (d += words, x += words));
	return 0;
}

/* dst ^= src1 ^ src2 */
RR_FN int rr_xor2(rr_array_t *a RR_ARG_ARENA, rr_u64 dst, rr_u64 src1, rr_u64 src2, rr_u32 sectors)
{
	rr_word_t *d = (rr_word_t *)rr_at(a, dst);
	rr_word_t *x = (rr_word_t *)rr_at(a, src1);
	rr_word_t *y = (rr_word_t *)rr_at(a, src2);

	RR_XOR_RANGE(sectors, d[i] ^= x[i] ^ y[i], (d += words, x += words, y += words));
	return 0;
}

/* dst = src1 ^ src2 */
RR_FN int rr_xor_set2(rr_array_t *a RR_ARG_ARENA, rr_u64 dst, rr_u64 src1, rr_u64 src2,
		      rr_u32 sectors)
{
	rr_word_t *d = (rr_word_t *)rr_at(a, dst);
	rr_word_t *x = (rr_word_t *)rr_at(a, src1);
	rr_word_t *y = (rr_word_t *)rr_at(a, src2);

	RR_XOR_RANGE(sectors, d[i] = x[i] ^ y[i], (d += words, x += words, y += words));
	return 0;
}

/* dst = src1 ^ src2 ^ src3; @src12 is src1 | src2 << 32: BPF passes five arguments. */
RR_FN int rr_xor_set3(rr_array_t *a RR_ARG_ARENA, rr_u64 dst, rr_u64 src12, rr_u64 src3,
		      rr_u32 sectors)
{
	rr_word_t *d = (rr_word_t *)rr_at(a, dst);
	rr_word_t *x = (rr_word_t *)rr_at(a, (rr_u32)src12);
	rr_word_t *y = (rr_word_t *)rr_at(a, src12 >> 32);
	rr_word_t *z = (rr_word_t *)rr_at(a, src3);

	RR_XOR_RANGE(sectors, d[i] = x[i] ^ y[i] ^ z[i],
		     (d += words, x += words, y += words, z += words));
	return 0;
}

/* Mask of the 4 KiB rows of a cell, from its byte @at on, that are not all zeros. */
RR_FN int rr_nonzero_rows(rr_array_t *a RR_ARG_ARENA, rr_u64 at, rr_u32 sectors)
{
	rr_word_t *x = (rr_word_t *)rr_at(a, at);
	rr_u32 rows = 0;
	rr_u64 any;
	rr_s32 row;

	rr_for (row, sectors >> 3) {
		any = 0;
		RR_XOR_WORDS(512, any |= x[i]);
		if (any)
			rows |= 1U << (row & 31);
		x += 512;
	}
	return (int)rows;
}

#endif /* RINGRAID_ENGINE_XOR_H */
