/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * dst ^= src, the engine's own loop.
 *
 * Lengths are whole sectors. Under BPF each step of an open-coded iterator
 * costs about 9 ns, so the body is a constant 4 KiB, unrolled by eight words
 * (about 140 ns when both are in L1), and single sectors make up the rest.
 */
#ifndef RINGRAID_ENGINE_XOR_H
#define RINGRAID_ENGINE_XOR_H

#include "arena.h"

RR_STEP void rr_xor_block(rr_u64 __arena *d, const rr_u64 __arena *s, rr_u32 words)
{
	rr_u32 i;

	for (i = 0; i < words; i += 8) {
		d[i] ^= s[i];
		d[i + 1] ^= s[i + 1];
		d[i + 2] ^= s[i + 2];
		d[i + 3] ^= s[i + 3];
		d[i + 4] ^= s[i + 4];
		d[i + 5] ^= s[i + 5];
		d[i + 6] ^= s[i + 6];
		d[i + 7] ^= s[i + 7];
	}
}

/* @dst, @src: byte offsets in the arena; @sectors: at most a cell. */
RR_FN int rr_xor(rr_array_t *a RR_ARG_ARENA, rr_u64 dst, rr_u64 src, rr_u32 sectors)
{
	rr_u64 __arena *d = (rr_u64 __arena *)rr_at(a, dst);
	const rr_u64 __arena *s = (const rr_u64 __arena *)rr_at(a, src);
	rr_s32 i;

	rr_for(i, sectors >> 3)
		rr_xor_block(d + (rr_u64)i * 512, s + (rr_u64)i * 512, 512);
	d += (rr_u64)(sectors >> 3) * 512;
	s += (rr_u64)(sectors >> 3) * 512;
	rr_for(i, sectors & 7)
		rr_xor_block(d + (rr_u64)i * 64, s + (rr_u64)i * 64, 64);
	return 0;
}

/* As rr_xor(), but dst = src. */
RR_FN int rr_copy(rr_array_t *a RR_ARG_ARENA, rr_u64 dst, rr_u64 src, rr_u32 sectors)
{
	rr_u64 __arena *d = (rr_u64 __arena *)rr_at(a, dst);
	const rr_u64 __arena *s = (const rr_u64 __arena *)rr_at(a, src);
	rr_s32 i;
	rr_u32 w;

	rr_for(i, sectors) {
		for (w = 0; w < 64; w += 4) {
			d[w] = s[w];
			d[w + 1] = s[w + 1];
			d[w + 2] = s[w + 2];
			d[w + 3] = s[w + 3];
		}
		d += 64;
		s += 64;
	}
	return 0;
}

#endif /* RINGRAID_ENGINE_XOR_H */
