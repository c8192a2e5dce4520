/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a slot computes between its reads and its writes, in a few calls.
 *
 * Where the kernel has uring_bpf_xor (kfunc-patches/), a queue is `fused`: the
 * engine then leaves copies and parity to the host (RR_ACT_FUSE), which does
 * them here, at once, without an SQE. The function works on registered
 * buffers: the client's pages under their tag, and the arena's slots; it
 * copies the payload and folds the copy into parity in one pass, so a client
 * that changes its pages meanwhile still cannot split data from parity.
 *
 *   RMW          for each role:  P ^= old D;  P ^= (D = payload)
 *   RCW, full    D = payload where it is a part of the hull; then
 *                P = D0 ^ D1 ^ ..., payloads that are the hull copied on the way
 *   RECON        the lost block = XOR of the others; then as RCW
 *   PAYLOAD      D = payload
 *   REBUILD      D = XOR of the peers; client's pages = D, and what they get of the peers
 *   READ         client's pages = D
 *
 *   D = 3, full stripe: one call, references P, C0>D0, C1>D1, C2>D2
 *
 * Nothing of a slot is on a member yet when this fails, so a failure is an
 * error of the request whose payload it was, and no more.
 *
 * The includer gives rr_host_t, rr_host_refs(q), an array of RR_XOR_REFS_MAX
 * references of that queue, and rr_host_xor(host, refs, n, bytes, flags).
 */
#ifndef RINGRAID_RING_FUSE_H
#define RINGRAID_RING_FUSE_H

#include "../engine/engine.h"
#include "../include/ringraid/ring.h"

RR_STEP void rr_ref_client(struct rr_xor_ref *ref, rr_u32 tag, rr_u32 payload, rr_u32 flags)
{
	ref->index = tag;
	ref->offset = (rr_u64)payload << RR_SECTOR_SHIFT;
	ref->flags = flags;
}

/* Sector @from of the slot's cell for @role. */
RR_STEP void rr_ref_cell(struct rr_xor_ref *ref, rr_array_t *a, rr_queue_t *q, rr_u32 slot,
			 rr_u32 role, rr_u32 from)
{
	ref->index = a->depth;
	ref->offset = rr_buffer(a, q, slot, role) - rr_buffer(a, q, 0, 0) +
		      ((rr_u64)from << RR_SECTOR_SHIFT);
	ref->flags = 0;
}

/*
 * The slot's cell for @role is the payload of the request that is to blame, in the part
 * that it writes.
 */
RR_FN int rr_fuse_copy_in(rr_host_t *host RR_ARG_HOST, rr_array_t *a RR_ARG_ARENA,
			  rr_queue_t *q RR_ARG_ARENA, rr_u32 slot, rr_u32 role)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 r = role & (RR_MEMBERS_MAX - 1);
	struct rr_piece piece = rr_slot_piece(a, q, s, s->blame, r);
	struct rr_xor_ref *refs = rr_host_refs(q);

	if (piece.from >= piece.to)
		return 0;
	rr_ref_cell(&refs[0], a, q, slot, r, piece.from);
	rr_ref_client(&refs[1], s->blame, piece.payload, 0);
	return rr_host_xor(host, refs, 2, (piece.to - piece.from) << RR_SECTOR_SHIFT, 0);
}

/* As above, and parity ^= what was there ^ the payload. */
RR_FN int rr_fuse_modify(rr_host_t *host RR_ARG_HOST, rr_array_t *a RR_ARG_ARENA,
			 rr_queue_t *q RR_ARG_ARENA, rr_u32 slot, rr_u32 role)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 r = role & (RR_MEMBERS_MAX - 1);
	struct rr_piece piece = rr_slot_piece(a, q, s, s->blame, r);
	struct rr_xor_ref *refs = rr_host_refs(q);
	rr_u32 bytes = (piece.to - piece.from) << RR_SECTOR_SHIFT;
	int ret;

	if (piece.from >= piece.to)
		return 0;
	rr_count(q, xor_bytes, 2ULL * bytes);
	rr_ref_cell(&refs[0], a, q, slot, s->parity, piece.from);
	/* Where the log has had it the old data is out of it. */
	if (!(s->log & RR_LOG_PARTIAL)) {
		rr_ref_cell(&refs[1], a, q, slot, r, piece.from);
		ret = rr_host_xor(host, refs, 2, bytes, RR_XOR_ACCUMULATE);
		if (ret)
			return ret;
	}
	rr_ref_client(&refs[1], s->blame, piece.payload, RR_XOR_REF_COPY);
	rr_ref_cell(&refs[2], a, q, slot, r, piece.from);
	return rr_host_xor(host, refs, 3, bytes, RR_XOR_ACCUMULATE);
}

/*
 * The payloads of all requests that the slot carries, on @roles: into the cells, and into
 * parity where that is modified. Where payloads overlap, each takes out what the one
 * before has put in. Stops at a failure, with the request to blame in the slot.
 */
RR_FN int rr_fuse_payloads(rr_host_t *host RR_ARG_HOST, rr_array_t *a RR_ARG_ARENA,
			   rr_queue_t *q RR_ARG_ARENA, rr_u32 slot, rr_u32 roles)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	int modify = s->plan == RR_PLAN_RMW;
	rr_u32 next = s->more.head;
	rr_u32 role;
	rr_s32 i;
	int ret;

	s->blame = s->tag;
	rr_for (i, RR_DEPTH_MAX) {
		rr_for_roles (role, roles) {
			if (modify)
				ret = rr_fuse_modify(host, a, q, slot, role);
			else
				ret = rr_fuse_copy_in(host, a, q, slot, role);
			if (ret)
				return ret;
		}
		if (next == RR_NIL)
			break;
		s->blame = rr_rider_tag(a, q, next);
		next = rr_rider_next(a, q, next);
	}
	return 0;
}

/*
 * refs[0], which is set, = XOR of the low half of @roles over the hull. Those in
 * the high half as well are payload, copied in on the way.
 */
RR_FN int rr_fuse_sum(rr_host_t *host RR_ARG_HOST, rr_array_t *a RR_ARG_ARENA,
		      rr_queue_t *q RR_ARG_ARENA, rr_u32 slot, rr_u32 roles)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	struct rr_xor_ref *refs = rr_host_refs(q);
	rr_u32 bytes = (rr_u32)(s->hi - s->lo) << RR_SECTOR_SHIFT;
	rr_u32 payload = roles >> 16;
	rr_u32 n = rr_counted_from(1);
	rr_u32 role;

	roles &= 0xffff;
	rr_count(q, xor_bytes, (rr_u64)rr_count_bits(roles) * bytes);
	rr_for_roles (role, roles) {
		if (payload >> role & 1) {
			rr_ref_client(&refs[n & (RR_XOR_REFS_MAX - 1)], s->tag, s->payload[role],
				      RR_XOR_REF_COPY);
			n++;
		}
		rr_ref_cell(&refs[n & (RR_XOR_REFS_MAX - 1)], a, q, slot, role, s->lo);
		n++;
	}
	return rr_host_xor(host, refs, n, bytes, 0);
}

/* The slot's cell for @dst = XOR of @roles over the hull, as rr_fuse_sum(). */
RR_STEP int rr_fuse_sum_to(rr_host_t *host, rr_array_t *a, rr_queue_t *q, rr_u32 slot, rr_u32 dst,
			   rr_u32 roles)
{
	rr_ref_cell(&rr_host_refs(q)[0], a, q, slot, dst, rr_slot_at(a, q, slot)->lo);
	return rr_fuse_sum(host, a, q, slot, roles);
}

/*
 * What a read gets of the slot. A rebuilt block is summed up in the slot: a client
 * may look at its pages meanwhile, and the sum in the making is other people's data.
 */
RR_FN int rr_fuse_deliver(rr_host_t *host RR_ARG_HOST, rr_array_t *a RR_ARG_ARENA,
			  rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 lost = s->role & (RR_MEMBERS_MAX - 1);
	struct rr_xor_ref *refs = rr_host_refs(q);
	rr_u32 role;
	int ret = 0;

	if (s->plan == RR_PLAN_REBUILD)
		ret = rr_fuse_sum_to(host, a, q, slot, lost, rr_all_roles(a) & ~(1U << lost));
	rr_for_roles (role, s->data_mask) {
		if (ret)
			break;
		rr_ref_client(&refs[0], s->tag, s->payload[role], 0);
		rr_ref_cell(&refs[1], a, q, slot, role, s->from[role]);
		ret = rr_host_xor(host, refs, 2,
				  (rr_u32)(s->to[role] - s->from[role]) << RR_SECTOR_SHIFT, 0);
	}
	return ret;
}

/* Payload and parity of a write whose plan computes parity from all data. */
RR_FN int rr_fuse_reconstruct(rr_host_t *host RR_ARG_HOST, rr_array_t *a RR_ARG_ARENA,
			      rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 data = rr_all_roles(a) & ~(1U << s->parity);
	rr_u32 parts = s->data_mask;
	int ret = 0;

	/* Of one request, what is the whole hull is copied by the sum. */
	if (s->more.head == RR_NIL)
		parts &= rr_slot_partial(a, s);
	if (s->plan == RR_PLAN_RECON && !(s->log & RR_LOG_PARTIAL))
		ret = rr_fuse_sum_to(host, a, q, slot, s->lost & (RR_MEMBERS_MAX - 1),
				     rr_all_roles(a) & ~(1U << s->lost));
	if (!ret)
		ret = rr_fuse_payloads(host, a, q, slot, parts);
	if (ret)
		return ret;
	/* No request is to blame for what goes wrong there. */
	s->blame = RR_NIL;
	return rr_fuse_sum_to(host, a, q, slot, s->parity, data | (s->data_mask & ~parts) << 16);
}

/* All of it; 0 or -errno. */
RR_FN int rr_fuse(rr_host_t *host RR_ARG_HOST, rr_array_t *a RR_ARG_ARENA,
		  rr_queue_t *q RR_ARG_ARENA, rr_u32 slot)
{
	rr_slot_t *s = rr_slot_at(a, q, slot);
	rr_u32 plan = s->plan;

	if (plan == RR_PLAN_REBUILD || plan == RR_PLAN_READ)
		return rr_fuse_deliver(host, a, q, slot);
	if (plan != RR_PLAN_RMW && plan != RR_PLAN_PAYLOAD)
		return rr_fuse_reconstruct(host, a, q, slot);
	return rr_fuse_payloads(host, a, q, slot, s->data_mask);
}

#endif /* RINGRAID_RING_FUSE_H */
