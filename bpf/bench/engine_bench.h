/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the benchmark and its BPF program say to each other. */
#ifndef RINGRAID_ENGINE_BENCH_H
#define RINGRAID_ENGINE_BENCH_H

#include "../include/ringraid/abi.h"

struct bench_run {
	rr_u32 queue;
	rr_u32 op; /* enum rr_op */
	rr_u32 sectors;
	rr_u32 requests;
	rr_u64 first_sector;
	rr_u64 stride; /* sectors between one request and the next */
	rr_u64 span;   /* sectors after which they start again */
};

/* Rounds of BENCH_BATCH requests: all of them start, then all of them end. */
enum { BENCH_BATCH = 32 };

struct bench_split_run {
	rr_u32 op;
	rr_u32 sectors;
	rr_u32 rounds;
	rr_u32 pad;
	rr_u64 stride;
	rr_u64 start_ns; /* out: sums over all rounds */
	rr_u64 finish_ns;
};

struct bench_xor_run {
	rr_u32 sources;
	rr_u32 sectors;
	rr_u32 rounds;
	rr_u32 pad;
};

/* Requests that come and go @batch a turn, and nothing but their times is taken. */
struct bench_latency_run {
	rr_u32 batch;
	rr_u32 rounds;
};

#endif /* RINGRAID_ENGINE_BENCH_H */
