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

struct bench_xor_run {
	rr_u32 sources;
	rr_u32 sectors;
	rr_u32 rounds;
	rr_u32 pad;
};

#endif /* RINGRAID_ENGINE_BENCH_H */
