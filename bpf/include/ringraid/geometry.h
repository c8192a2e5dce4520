/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a sector of the array lives on its members.
 *
 * One source for every host of the engine: it compiles for BPF, C and C++,
 * has no loops, no state and no libc. Cost: one 64-bit division by the full
 * stripe and one modulo by the member count per request.
 *
 * A stripe is one chunk on each of N members: D = N - 1 data chunks and one
 * parity chunk, which rotates. The four layouts and their numbers are md's
 * (linux include/uapi/linux/raid/md_p.h, drivers/md/raid5.c
 * raid5_compute_sector), so that md can serve the same members:
 *
 *   N = 4, left-symmetric            N = 4, left-asymmetric
 *     m0 m1 m2 m3                      m0 m1 m2 m3
 *      0  1  2  P    stripe 0           0  1  2  P
 *      4  5  P  3    stripe 1           3  4  P  5
 *      8  P  6  7    stripe 2           6  P  7  8
 *
 * Limits: 3 to 16 members, chunks of 4 KiB to 1 MiB, powers of two. The
 * caller checks a geometry once with rr_geometry_valid(); the mapping itself
 * trusts it.
 */
#ifndef RINGRAID_GEOMETRY_H
#define RINGRAID_GEOMETRY_H

#include "types.h"

enum {
	RR_MEMBERS_MIN = 3,
	RR_MEMBERS_MAX = 16,
	RR_CHUNK_SECTORS_MIN = 8,    /* 4 KiB */
	RR_CHUNK_SECTORS_MAX = 2048, /* 1 MiB */
};

/* Values are md's superblock field `layout`. */
enum rr_layout {
	RR_LEFT_ASYMMETRIC = 0,
	RR_RIGHT_ASYMMETRIC = 1,
	RR_LEFT_SYMMETRIC = 2,
	RR_RIGHT_SYMMETRIC = 3,
};

struct rr_geometry {
	rr_u32 members;
	rr_u32 chunk_shift; /* log2 of the chunk in 512-byte sectors */
	rr_u32 layout;	    /* enum rr_layout */
};

struct rr_location {
	rr_u64 stripe;
	rr_u64 member_sector; /* relative to the member's data offset */
	rr_u32 member;	      /* role that holds the data */
	rr_u32 parity;	      /* role that holds the stripe's parity */
	rr_u32 chunk_index;   /* 0..D-1: position among the stripe's data */
};

/* Non-zero when the mapping below may be used on @g. */
RR_STEP int rr_geometry_valid(const struct rr_geometry __arena *g)
{
	return g->members >= RR_MEMBERS_MIN && g->members <= RR_MEMBERS_MAX &&
	       g->chunk_shift >= 3 && g->chunk_shift <= 11 && g->layout <= RR_RIGHT_SYMMETRIC;
}

/* Role that holds the parity of @stripe. */
RR_STEP rr_u32 rr_parity_member(const struct rr_geometry __arena *g, rr_u64 stripe)
{
	rr_u32 turn = (rr_u32)(stripe % g->members);

	/* Bit 0 of md's layout number says that parity moves right. */
	return g->layout & 1 ? turn : g->members - 1 - turn;
}

/* Role that holds data chunk @index (0..D-1) of a stripe whose parity is @parity. */
RR_STEP rr_u32 rr_data_member(const struct rr_geometry __arena *g, rr_u32 parity, rr_u32 index)
{
	rr_u32 member;

	/* Asymmetric: data in member order, skipping the parity. */
	if (g->layout < RR_LEFT_SYMMETRIC)
		return index + (index >= parity);
	/* Symmetric: data starts behind the parity and wraps. */
	member = parity + 1 + index;
	return member >= g->members ? member - g->members : member;
}

/* Inverse of rr_data_member(); @member is not @parity. */
RR_STEP rr_u32 rr_data_index(const struct rr_geometry __arena *g, rr_u32 parity, rr_u32 member)
{
	if (g->layout < RR_LEFT_SYMMETRIC)
		return member - (member > parity);
	return member > parity ? member - parity - 1 : member + g->members - parity - 1;
}

/* Maps @sector of the array. @g must be valid, @sector within the array. */
RR_STEP struct rr_location rr_locate(const struct rr_geometry __arena *g, rr_u64 sector)
{
	struct rr_location at = { 0, 0, 0, 0, 0 };
	rr_u64 chunk = sector >> g->chunk_shift;
	rr_u64 offset = sector & ((1ULL << g->chunk_shift) - 1);
	rr_u32 data_members = g->members - 1;

	at.stripe = chunk / data_members;
	at.chunk_index = (rr_u32)(chunk - at.stripe * data_members);
	at.parity = rr_parity_member(g, at.stripe);
	at.member = rr_data_member(g, at.parity, at.chunk_index);
	at.member_sector = (at.stripe << g->chunk_shift) + offset;
	return at;
}

#endif /* RINGRAID_GEOMETRY_H */
