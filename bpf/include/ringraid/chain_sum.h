/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Checksums of blocks: what tells a torn or damaged block from a good one.
 *
 *   chain_xxh64   XXH64 (github.com/Cyan4973/xxHash), of the library's own pages:
 *                 four multiplications for 32 bytes
 *   chain_crc32c  CRC-32C, of tables in LevelDB's format: eight table look-ups for
 *                 eight bytes, which is five times as much
 *
 * The tables of CRC-32C are made by the compiler: the entry of a number is the XOR
 * of the entries of its bits.
 */
#ifndef RINGRAID_CHAIN_SUM_H
#define RINGRAID_CHAIN_SUM_H

#include "chain.h"

#define CHAIN_XXH_1 0x9e3779b185ebca87ULL
#define CHAIN_XXH_2 0xc2b2ae3d27d4eb4fULL
#define CHAIN_XXH_3 0x165667b19e3779f9ULL
#define CHAIN_XXH_4 0x85ebca77c2b2ae63ULL
#define CHAIN_XXH_5 0x27d4eb2f165667c5ULL

#define chain_rotate(x, n) ((x) << (n) | (x) >> (64 - (n)))

RR_STEP rr_u64 chain_xxh_round(rr_u64 lane, rr_u64 word)
{
	lane += word * CHAIN_XXH_2;
	return chain_rotate(lane, 31) * CHAIN_XXH_1;
}

RR_STEP rr_u64 chain_xxh_merge(rr_u64 h, rr_u64 lane)
{
	return (h ^ chain_xxh_round(0, lane)) * CHAIN_XXH_1 + CHAIN_XXH_4;
}

/* XXH64 of a multiple of 8 bytes, least byte first. */
RR_FN rr_u64 chain_xxh64(const rr_u8 __arena *p RR_ARG_ARENA, rr_u32 bytes, rr_u64 seed)
{
	rr_u64 a = seed + CHAIN_XXH_1 + CHAIN_XXH_2, b = seed + CHAIN_XXH_2, c = seed,
	       d = seed - CHAIN_XXH_1, h;
	rr_s32 i;

	rr_for (i, bytes >> 5) {
		rr_u64 at = (rr_u64)i << 5;

		a = chain_xxh_round(a, chain_get64(p, at));
		b = chain_xxh_round(b, chain_get64(p, at + 8));
		c = chain_xxh_round(c, chain_get64(p, at + 16));
		d = chain_xxh_round(d, chain_get64(p, at + 24));
	}
	if (bytes >= 32) {
		h = chain_rotate(a, 1) + chain_rotate(b, 7) + chain_rotate(c, 12) +
		    chain_rotate(d, 18);
		h = chain_xxh_merge(h, a);
		h = chain_xxh_merge(h, b);
		h = chain_xxh_merge(h, c);
		h = chain_xxh_merge(h, d);
	} else {
		h = seed + CHAIN_XXH_5;
	}
	h += bytes & ~7U;
	p += bytes & ~31U;
	rr_for (i, (bytes & 31) >> 3) {
		h ^= chain_xxh_round(0, chain_get64(p, (rr_u64)i << 3));
		h = chain_rotate(h, 27) * CHAIN_XXH_1 + CHAIN_XXH_4;
	}
	h ^= h >> 33;
	h *= CHAIN_XXH_2;
	h ^= h >> 29;
	h *= CHAIN_XXH_3;
	return h ^ h >> 32;
}

#define CHAIN_CRC_BIT(i, b, x) ((i) >> (b) & 1 ? (x) : 0U)
#define CHAIN_CRC_ENTRY(i, a, b, c, d, e, f, g, h)                                                 \
	(CHAIN_CRC_BIT(i, 0, a) ^ CHAIN_CRC_BIT(i, 1, b) ^ CHAIN_CRC_BIT(i, 2, c) ^                \
	 CHAIN_CRC_BIT(i, 3, d) ^ CHAIN_CRC_BIT(i, 4, e) ^ CHAIN_CRC_BIT(i, 5, f) ^                \
	 CHAIN_CRC_BIT(i, 6, g) ^ CHAIN_CRC_BIT(i, 7, h))
#define CHAIN_CRC_4(t, i) t(i), t(i + 1), t(i + 2), t(i + 3)
#define CHAIN_CRC_16(t, i)                                                                         \
	CHAIN_CRC_4(t, i), CHAIN_CRC_4(t, i + 4), CHAIN_CRC_4(t, i + 8), CHAIN_CRC_4(t, i + 12)
#define CHAIN_CRC_64(t, i)                                                                         \
	CHAIN_CRC_16(t, i), CHAIN_CRC_16(t, i + 16), CHAIN_CRC_16(t, i + 32),                      \
		CHAIN_CRC_16(t, i + 48)
#define CHAIN_CRC_TABLE(t)                                                                         \
	{ CHAIN_CRC_64(t, 0), CHAIN_CRC_64(t, 64), CHAIN_CRC_64(t, 128), CHAIN_CRC_64(t, 192) }

#define CHAIN_CRC_0(i)                                                                             \
	CHAIN_CRC_ENTRY(i, 0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf, 0x105ec76f, 0x20bd8ede, \
			0x417b1dbc, 0x82f63b78)
#define CHAIN_CRC_1(i)                                                                             \
	CHAIN_CRC_ENTRY(i, 0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8, 0x3fc5f181, 0x7f8be302, \
			0xff17c604, 0xfbc3faf9)
#define CHAIN_CRC_2(i)                                                                             \
	CHAIN_CRC_ENTRY(i, 0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5, 0x70a27d8a, 0xe144fb14, \
			0xc76580d9, 0x8b277743)
#define CHAIN_CRC_3(i)                                                                             \
	CHAIN_CRC_ENTRY(i, 0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6, 0xe964b13d, 0xd725148b, \
			0xaba65fe7, 0x52a0c93f)
#define CHAIN_CRC_FOUR(i)                                                                          \
	CHAIN_CRC_ENTRY(i, 0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91, 0x8f2261d3, 0x1ba8b557, \
			0x37516aae, 0x6ea2d55c)
#define CHAIN_CRC_5(i)                                                                             \
	CHAIN_CRC_ENTRY(i, 0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f, 0xc00c303e, 0x85f4168d, \
			0x0e045beb, 0x1c08b7d6)
#define CHAIN_CRC_6(i)                                                                             \
	CHAIN_CRC_ENTRY(i, 0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53, 0x9c5bfaa6, 0x3d5b83bd, \
			0x7ab7077a, 0xf56e0ef4)
#define CHAIN_CRC_7(i)                                                                             \
	CHAIN_CRC_ENTRY(i, 0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da, 0x847609b4, 0x0d006599, \
			0x1a00cb32, 0x34019664)

static const rr_u32 chain_crc_tables[8][256]
	__attribute__((unused)) = { CHAIN_CRC_TABLE(CHAIN_CRC_0),    CHAIN_CRC_TABLE(CHAIN_CRC_1),
				    CHAIN_CRC_TABLE(CHAIN_CRC_2),    CHAIN_CRC_TABLE(CHAIN_CRC_3),
				    CHAIN_CRC_TABLE(CHAIN_CRC_FOUR), CHAIN_CRC_TABLE(CHAIN_CRC_5),
				    CHAIN_CRC_TABLE(CHAIN_CRC_6),    CHAIN_CRC_TABLE(CHAIN_CRC_7) };

#define chain_crc_at(t, n) chain_crc_tables[t][(n) & 255]

RR_FN rr_u32 chain_crc32c(const rr_u8 __arena *p RR_ARG_ARENA, rr_u32 bytes)
{
	rr_u32 crc = ~0U;
	rr_s32 i;

	rr_for (i, bytes >> 3) {
		rr_u64 w = chain_get64(p, (rr_u64)i << 3) ^ crc;

		crc = chain_crc_at(7, w) ^ chain_crc_at(6, w >> 8) ^ chain_crc_at(5, w >> 16) ^
		      chain_crc_at(4, w >> 24) ^ chain_crc_at(3, w >> 32) ^
		      chain_crc_at(2, w >> 40) ^ chain_crc_at(1, w >> 48) ^
		      chain_crc_at(0, w >> 56);
	}
	p += bytes & ~7U;
	rr_for (i, bytes & 7)
		crc = crc >> 8 ^ chain_crc_at(0, crc ^ p[i]);
	return ~crc;
}

#endif /* RINGRAID_CHAIN_SUM_H */
