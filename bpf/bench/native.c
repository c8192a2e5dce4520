// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The same requests through the engine as the C compiler makes it. */
#include "native.h"

#include <time.h>

static inline rr_u64 rr_host_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (rr_u64)now.tv_sec * 1000000000U + (rr_u64)now.tv_nsec;
}

#include "drive.h"

void bench_native_requests(struct rr_array *a, const struct bench_run *c)
{
	struct rr_queue *q = rr_queue_at(a, c->queue);

	for (rr_u32 i = 0; i < c->requests; i++)
		bench_one(a, q, c->first_sector + i * c->stride % c->span, c->sectors, c->op);
}

void bench_native_xor(struct rr_array *a, const struct bench_xor_run *c)
{
	struct rr_queue *q = rr_queue_at(a, 0);
	struct rr_slot *s = rr_slot_at(a, q, 0);

	s->lo = 0;
	s->hi = (rr_u16)c->sectors;
	for (rr_u32 i = 0; i < c->rounds; i++)
		rr_slot_xor(a, q, 0, 0, ((1U << c->sources) - 1) << 1);
}

void bench_native_latency(struct rr_array *a, const struct bench_latency_run *c)
{
	bench_latencies(a, rr_queue_at(a, 0), c->batch, c->rounds);
}

/* As good as the processor can: 32 bytes at a time. */
__attribute__((target("avx2"))) void bench_avx2_xor(void *dst, const void *const *sources,
						    unsigned int count, size_t bytes)
{
	typedef long long block __attribute__((vector_size(32), aligned(32)));

	for (size_t i = 0; i < bytes / sizeof(block); i++) {
		block sum = ((const block *)sources[0])[i];

		for (unsigned int s = 1; s < count; s++)
			sum ^= ((const block *)sources[s])[i];
		((block *)dst)[i] = sum;
	}
}
