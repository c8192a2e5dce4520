// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The engine in a SEC("syscall") host: a struct_ops program cannot be
 * test-run, this can, on any kernel with arenas (6.9) and without ublk or NVMe.
 * With -DBENCH_NO_XOR parity is not computed, to tell the rest of the cost.
 */
#include "../include/ringraid/kernel.bpf.h"

#ifdef BENCH_NO_XOR
#define RINGRAID_ENGINE_XOR_H
#include "../engine/arena.h"
/* A function whose argument nobody uses is called without it: Linux 6.18 refuses that. */
#define bench_use(x)			   ({ asm volatile("" ::"r"((rr_u64)(x))); })
#define rr_copy(a, dst, src, sectors)	   ((void)(dst), (void)(src), (void)(sectors))
#define rr_xor(a, dst, src, sectors)	   ((void)(dst), (void)(src), (void)(sectors))
#define rr_xor2(a, dst, x, y, sectors)	   ((void)(dst), (void)(x), (void)(y))
#define rr_xor_set2(a, dst, x, y, sectors) (bench_use(dst), (void)(x), (void)(y))
#define rr_nonzero_rows(a, at, sectors)	   ((void)(at), (void)(sectors), 0)
#define rr_xor_set3(a, dst, x, y, sectors) (bench_use(dst), (void)(x), (void)(y))
#endif

#define rr_host_clock() bpf_ktime_get_ns()

#include "drive.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

volatile rr_u32 rr_zero;

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096); /* pages; the loader sets its own */
	__ulong(map_extra, 1ULL << 44);
} bench_arena SEC(".maps");

RR_STEP rr_array_t *bench_array(void)
{
	rr_u64 address = 1ULL << 44;

	asm volatile("" : "+r"(address) : "r"(&bench_arena));
	return (rr_array_t *)(void *)address;
}

SEC("syscall")
int bench_requests(struct bench_run *c)
{
	rr_array_t *a = bench_array();
	rr_queue_t *q = rr_queue_at(a, c->queue & (RR_QUEUES_MAX - 1));
	rr_u32 sectors = c->sectors, op = c->op;
	rr_u64 first = c->first_sector, stride = c->stride, span = c->span;
	rr_s32 i;

	rr_for (i, c->requests)
		bench_one(a, q, first + (rr_u64)(rr_u32)i * stride % span, sectors, op);
	return 0;
}

/* The way in and the way out apart. */
SEC("syscall")
int bench_split(struct bench_split_run *c)
{
	rr_array_t *a = bench_array();
	rr_queue_t *q = rr_queue_at(a, 0);
	rr_u32 sectors = c->sectors, op = c->op;
	rr_u64 stride = c->stride, start_ns = 0, finish_ns = 0;
	rr_s32 i, tag;

	rr_for (i, c->rounds) {
		rr_u64 begin = bpf_ktime_get_ns(), middle;

		rr_for (tag, BENCH_BATCH)
			bench_start(a, q, tag, (rr_u64)(rr_u32)tag * stride, sectors, op);
		middle = bpf_ktime_get_ns();
		bench_finish(a, q);
		start_ns += middle - begin;
		finish_ns += bpf_ktime_get_ns() - middle;
		rr_for (tag, BENCH_BATCH)
			bench_judge(a, q, tag);
	}
	c->start_ns = start_ns;
	c->finish_ns = finish_ns;
	return 0;
}

SEC("syscall")
int bench_latency(struct bench_latency_run *c)
{
	rr_array_t *a = bench_array();

	bench_latencies(a, rr_queue_at(a, 0), c->batch, c->rounds);
	return 0;
}

#ifndef BENCH_NO_XOR
/* Parity of so many sources as a slot computes it. */
SEC("syscall")
int bench_xor(struct bench_xor_run *c)
{
	rr_array_t *a = bench_array();
	rr_queue_t *q = rr_queue_at(a, 0);
	rr_slot_t *s = rr_slot_at(a, q, 0);
	rr_u32 sources = ((1U << (c->sources & 15)) - 1) << 1;
	rr_u32 rounds = c->rounds;
	rr_s32 i;

	s->lo = 0;
	s->hi = c->sectors;
	rr_for (i, rounds)
		rr_slot_xor(a, q, 0, 0, sources);
	return 0;
}
#endif
