/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef RINGRAID_BENCH_NATIVE_H
#define RINGRAID_BENCH_NATIVE_H

#include <stddef.h>

#include "engine_bench.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As bench_requests and bench_xor do it in BPF. The arena is the caller's alone. */
void bench_native_requests(struct rr_array *a, const struct bench_run *c);
void bench_native_latency(struct rr_array *a, const struct bench_latency_run *c);
void bench_native_xor(struct rr_array *a, const struct bench_xor_run *c);

/* Only where the processor has AVX2. Blocks of 32 bytes, aligned so. */
void bench_avx2_xor(void *dst, const void *const *sources, unsigned int count, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif /* RINGRAID_BENCH_NATIVE_H */
