// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * XOR in a loop_step program: by the engine's own loop, and by uring_bpf_xor().
 *
 * One turn of the wait loop makes all rounds of the job and stops, so one
 * io_uring_enter() is one measurement. The BPF loops are a SEC("syscall")
 * program as well, for a kernel that has neither io_uring's BPF nor the function.
 */
#include <linux/errno.h>
#include "../include/ringraid/kernel.bpf.h"
#include "../engine/xor.h"
#include "xor_job.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

volatile rr_u32 rr_zero;

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, XOR_ARENA_BYTES / 4096);
	__ulong(map_extra, RR_ARENA_ADDRESS);
} xor_arena SEC(".maps");

typedef struct xor_job __arena xor_job_t;

RR_STEP xor_job_t *xor_the_job(void)
{
	rr_u64 address = RR_ARENA_ADDRESS;

	asm volatile("" : "+r"(address) : "r"(&xor_arena));
	return (xor_job_t *)(void *)address;
}

/* The passes of rr_slot_xor(), which works on the cells of a slot. */
RR_FN int xor_loop_sum(rr_array_t *a RR_ARG_ARENA, rr_u32 sources, rr_u32 bytes)
{
	rr_u64 sum = xor_cell(XOR_CELL_SUM, bytes);
	rr_u64 from = xor_cell(XOR_CELL_STABLE, bytes);
	rr_u32 sectors = bytes >> RR_SECTOR_SHIFT;
	rr_s32 i;

	if (sources & 1) {
		rr_xor_set3(a, sum, from | (from + bytes) << 32, from + 2ULL * bytes, sectors);
		from += bytes;
	} else {
		rr_xor_set2(a, sum, from, from + bytes, sectors);
	}
	rr_for (i, sources / 2 - 1) {
		from += 2ULL * bytes;
		rr_xor2(a, sum, from, from + bytes, sectors);
	}
	return 0;
}

RR_FN int xor_loop_copy_one(rr_array_t *a RR_ARG_ARENA, rr_u32 source, rr_u32 bytes)
{
	rr_word_t *d = (rr_word_t *)rr_at(a, xor_cell(XOR_CELL_STABLE + source, bytes));
	rr_word_t *x = (rr_word_t *)rr_at(a, xor_cell(XOR_CELL_CLIENT + source, bytes));

	RR_XOR_RANGE(bytes >> RR_SECTOR_SHIFT, d[i] = x[i], (d += words, x += words));
	return 0;
}

RR_STEP int xor_loop_round(rr_array_t *a, rr_u32 way, rr_u32 sources, rr_u32 bytes)
{
	rr_s32 i;

	if (way == XOR_LOOP_COPY) {
		rr_for (i, sources)
			xor_loop_copy_one(a, (rr_u32)i, bytes);
	}
	return xor_loop_sum(a, sources, bytes);
}

/* Set anew for each call, as the engine does. */
struct rr_xor_ref xor_refs[RR_XOR_REFS_MAX];

RR_STEP void xor_ref(rr_u32 n, rr_u32 index, rr_u64 offset, rr_u32 flags)
{
	struct rr_xor_ref *ref = &xor_refs[n & (RR_XOR_REFS_MAX - 1)];

	ref->index = index;
	ref->offset = offset;
	ref->flags = flags;
}

RR_STEP int xor_call(struct iou_ctx *ring, rr_u32 n, rr_u32 bytes)
{
	return uring_bpf_xor(ring, xor_refs, (n & (RR_XOR_REFS_MAX - 1)) * sizeof(xor_refs[0]),
			     bytes, 0);
}

RR_FN int xor_kfunc_sum(struct iou_ctx *ring RR_ARG_HOST, rr_u32 sources, rr_u32 bytes)
{
	rr_s32 i;

	xor_ref(0, XOR_BUFFER_ARENA, xor_cell(XOR_CELL_SUM, bytes), 0);
	rr_for (i, sources)
		xor_ref(1 + (rr_u32)i, XOR_BUFFER_ARENA,
			xor_cell(XOR_CELL_STABLE + (rr_u32)i, bytes), 0);
	return xor_call(ring, 1 + sources, bytes);
}

RR_FN int xor_kfunc_copy(struct iou_ctx *ring RR_ARG_HOST, rr_u32 sources, rr_u32 bytes)
{
	int ret = 0;
	rr_s32 i;

	rr_for (i, sources) {
		xor_ref(0, XOR_BUFFER_ARENA, xor_cell(XOR_CELL_STABLE + (rr_u32)i, bytes), 0);
		xor_ref(1, (rr_u32)i, 0, 0);
		ret = xor_call(ring, 2, bytes);
		if (ret)
			break;
	}
	return ret;
}

RR_FN int xor_fused(struct iou_ctx *ring RR_ARG_HOST, rr_u32 sources, rr_u32 bytes)
{
	rr_s32 i;

	xor_ref(0, XOR_BUFFER_ARENA, xor_cell(XOR_CELL_SUM, bytes), 0);
	rr_for (i, sources) {
		xor_ref(1 + 2 * (rr_u32)i, (rr_u32)i, 0, RR_XOR_REF_COPY);
		xor_ref(2 + 2 * (rr_u32)i, XOR_BUFFER_ARENA,
			xor_cell(XOR_CELL_STABLE + (rr_u32)i, bytes), 0);
	}
	return xor_call(ring, 1 + 2 * sources, bytes);
}

RR_STEP int xor_kfunc_round(struct iou_ctx *ring, rr_u32 way, rr_u32 sources, rr_u32 bytes)
{
	int ret = 0;

	if (way == XOR_FUSED)
		return xor_fused(ring, sources, bytes);
	if (way == XOR_KFUNC_COPY)
		ret = xor_kfunc_copy(ring, sources, bytes);
	return ret ? ret : xor_kfunc_sum(ring, sources, bytes);
}

SEC("struct_ops.s/loop_step")
int BPF_PROG(xor_loop_step, struct iou_ctx *ring, struct iou_loop_params *params)
{
	xor_job_t *job = xor_the_job();
	rr_u32 way = job->way, sources = job->sources, bytes = job->bytes;
	int ret = 0;
	rr_s32 i;

	rr_for (i, job->rounds) {
		if (way <= XOR_LOOP_COPY)
			ret = xor_loop_round((rr_array_t *)job, way, sources, bytes);
		else if (bpf_ksym_exists(uring_bpf_xor))
			ret = xor_kfunc_round(ring, way, sources, bytes);
		else
			ret = -ENOSYS;
		if (ret)
			break;
	}
	job->done = (rr_u32)i;
	job->error = ret;
	return IOU_LOOP_STOP;
}

SEC("syscall")
int xor_loops(void *unused)
{
	xor_job_t *job = xor_the_job();
	rr_u32 way = job->way, sources = job->sources, bytes = job->bytes;
	rr_s32 i;

	rr_for (i, job->rounds)
		xor_loop_round((rr_array_t *)job, way, sources, bytes);
	job->done = (rr_u32)i;
	job->error = 0;
	return 0;
}

SEC(".struct_ops.link")
struct io_uring_bpf_ops xor_ops = { .loop_step = (void *)xor_loop_step };
