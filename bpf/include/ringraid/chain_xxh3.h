/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * XXH3 of 64 bits (github.com/Cyan4973/xxHash), without seed, of 17 bytes or more:
 * the checksum of RocksDB's blocks. One multiplication of 32 bits for each 8 bytes.
 *
 * BPF has no product of 128 bits: where the hash wants one it is put together of
 * four.
 */
#ifndef RINGRAID_CHAIN_XXH3_H
#define RINGRAID_CHAIN_XXH3_H

#include "chain_sum.h"

enum {
	CHAIN_XXH3_LEAST = 17, /* bytes */
	CHAIN_XXH3_SHORT = 128,
	CHAIN_XXH3_MIDDLE = 240,
	CHAIN_XXH3_STRIPE = 64,
	CHAIN_XXH3_SECRET = 192,
};

#define CHAIN_XXH3_1 0x9e3779b1ULL
#define CHAIN_XXH3_2 0x85ebca77ULL
#define CHAIN_XXH3_3 0xc2b2ae3dULL

static const rr_u8 chain_xxh3_secret[CHAIN_XXH3_SECRET] __attribute__((unused)) = {
	0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad,
	0x1c, 0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3,
	0x67, 0x1f, 0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc,
	0xff, 0x72, 0x21, 0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6,
	0x81, 0x3a, 0x26, 0x4c, 0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65,
	0x8b, 0x1b, 0x53, 0x2e, 0xa3, 0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19,
	0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8, 0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9,
	0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d, 0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31,
	0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64, 0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb,
	0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb, 0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0,
	0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e, 0x2b, 0x16, 0xbe, 0x58, 0x7d,
	0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce, 0x45, 0xcb, 0x3a, 0x8f,
	0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
};

RR_STEP rr_u64 chain_xxh3_key(rr_u32 at)
{
	return *(const chain_u64 *)(chain_xxh3_secret + at);
}

/* The halves of a product of 128 bits, XORed. */
RR_STEP rr_u64 chain_xxh3_fold(rr_u64 a, rr_u64 b)
{
	rr_u64 a0 = (rr_u32)a, a1 = a >> 32, b0 = (rr_u32)b, b1 = b >> 32;
	rr_u64 low = a0 * b0, middle = a1 * b0;
	rr_u64 cross = (low >> 32) + (rr_u32)middle + a0 * b1;

	return (cross << 32 | (rr_u32)low) ^ ((middle >> 32) + (cross >> 32) + a1 * b1);
}

/*
 * A function of its own, as every one that looks into the secret: the verifier follows
 * a loop in which it has to know the counter to its last round.
 */
RR_FN rr_u64 chain_xxh3_mix(const rr_u8 __arena *p RR_ARG_ARENA, rr_u32 at)
{
	at &= 127;
	return chain_xxh3_fold(chain_get64(p, 0) ^ chain_xxh3_key(at),
			       chain_get64(p, 8) ^ chain_xxh3_key(at + 8));
}

RR_STEP rr_u64 chain_xxh3_end(rr_u64 h)
{
	h ^= h >> 37;
	h *= 0x165667919e3779f9ULL;
	return h ^ h >> 32;
}

/* 17 to 128 bytes: pairs of 16 from both ends. */
RR_FN rr_u64 chain_xxh3_short(const rr_u8 __arena *p RR_ARG_ARENA, rr_u32 bytes)
{
	rr_u64 h = bytes * CHAIN_XXH_1;
	rr_s32 i;

	rr_for (i, (bytes + 31) / 32) {
		rr_u32 at = (i & 3) * 16;

		h += chain_xxh3_mix(p + at, at * 2);
		h += chain_xxh3_mix(p + bytes - 16 - at, at * 2 + 16);
	}
	return chain_xxh3_end(h);
}

/* 129 to 240. */
RR_FN rr_u64 chain_xxh3_middle(const rr_u8 __arena *p RR_ARG_ARENA, rr_u32 bytes)
{
	rr_u64 h = bytes * CHAIN_XXH_1;
	rr_s32 i;

	rr_for (i, 8)
		h += chain_xxh3_mix(p + i * 16, i * 16);
	h = chain_xxh3_end(h);
	rr_for (i, bytes / 16 - 8)
		h += chain_xxh3_mix(p + 128 + i * 16, i * 16 + 3);
	return chain_xxh3_end(h + chain_xxh3_mix(p + bytes - 16, 119));
}

struct chain_xxh3_lanes {
	rr_u64 n[8];
};

#define CHAIN_XXH3_LANE(i)                                                                         \
	do {                                                                                       \
		rr_u64 word = chain_get64(p, 8 * (i));                                             \
		rr_u64 keyed = word ^ chain_xxh3_key(at + 8 * (i));                                \
                                                                                                   \
		lane->n[(i) ^ 1] += word;                                                          \
		lane->n[i] += (rr_u64)(rr_u32)keyed * (keyed >> 32);                               \
	} while (0)

RR_FN int chain_xxh3_stripe(const rr_u8 __arena *p RR_ARG_ARENA, struct chain_xxh3_lanes *lane,
			    rr_u32 at)
{
	if (!lane)
		return -CHAIN_EINVAL;
	at &= 127;
	CHAIN_XXH3_LANE(0);
	CHAIN_XXH3_LANE(1);
	CHAIN_XXH3_LANE(2);
	CHAIN_XXH3_LANE(3);
	CHAIN_XXH3_LANE(4);
	CHAIN_XXH3_LANE(5);
	CHAIN_XXH3_LANE(6);
	CHAIN_XXH3_LANE(7);
	return 0;
}

#define CHAIN_XXH3_SCRAMBLE(i)                                                                     \
	(lane->n[i] =                                                                              \
		 (lane->n[i] ^ lane->n[i] >> 47 ^ chain_xxh3_key(128 + 8 * (i))) * CHAIN_XXH3_1)

RR_FN int chain_xxh3_scramble(struct chain_xxh3_lanes *lane)
{
	if (!lane)
		return -CHAIN_EINVAL;
	CHAIN_XXH3_SCRAMBLE(0);
	CHAIN_XXH3_SCRAMBLE(1);
	CHAIN_XXH3_SCRAMBLE(2);
	CHAIN_XXH3_SCRAMBLE(3);
	CHAIN_XXH3_SCRAMBLE(4);
	CHAIN_XXH3_SCRAMBLE(5);
	CHAIN_XXH3_SCRAMBLE(6);
	CHAIN_XXH3_SCRAMBLE(7);
	return 0;
}

#define CHAIN_XXH3_MERGE(i)                                                                        \
	chain_xxh3_fold(x.n[2 * (i)] ^ chain_xxh3_key(11 + 16 * (i)),                              \
			x.n[2 * (i) + 1] ^ chain_xxh3_key(19 + 16 * (i)))

/* More: stripes of 64 bytes in eight lanes, which are scrambled after each 1024. */
RR_FN rr_u64 chain_xxh3_long(const rr_u8 __arena *p RR_ARG_ARENA, rr_u32 bytes)
{
	struct chain_xxh3_lanes x = { { CHAIN_XXH3_3, CHAIN_XXH_1, CHAIN_XXH_2, CHAIN_XXH_3,
					CHAIN_XXH_4, CHAIN_XXH3_2, CHAIN_XXH_5, CHAIN_XXH3_1 } };
	rr_s32 i;

	rr_for (i, (bytes - 1) / CHAIN_XXH3_STRIPE) {
		chain_xxh3_stripe(p + (rr_u64)i * CHAIN_XXH3_STRIPE, &x, (i & 15) * 8);
		if ((i & 15) == 15)
			chain_xxh3_scramble(&x);
	}
	chain_xxh3_stripe(p + bytes - CHAIN_XXH3_STRIPE, &x, 121);
	return chain_xxh3_end(bytes * CHAIN_XXH_1 + CHAIN_XXH3_MERGE(0) + CHAIN_XXH3_MERGE(1) +
			      CHAIN_XXH3_MERGE(2) + CHAIN_XXH3_MERGE(3));
}

/* 0 of what is shorter than CHAIN_XXH3_LEAST. */
RR_STEP rr_u64 chain_xxh3(const rr_u8 __arena *p, rr_u32 bytes)
{
	if (bytes < CHAIN_XXH3_LEAST)
		return 0;
	if (bytes <= CHAIN_XXH3_SHORT)
		return chain_xxh3_short(p, bytes);
	return bytes <= CHAIN_XXH3_MIDDLE ? chain_xxh3_middle(p, bytes) : chain_xxh3_long(p, bytes);
}

#endif /* RINGRAID_CHAIN_XXH3_H */
