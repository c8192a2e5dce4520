/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a file of steps includes: one source, for the kernel and for user space.
 *
 *   #include <ringraid/chain.bpf.h>
 *
 *   CHAIN_STEP(follow)
 *   {
 *           rr_u64 next = chain_get64(block, 0);
 *
 *           if (next)
 *                   return chain_read(c, c->file, next, bytes, 0) ?: CHAIN_MORE;
 *           return chain_emit(c, block + 8, 8) ?: CHAIN_DONE;
 *   }
 *
 *   CHAIN_LICENSE("GPL");
 *   CHAIN_PROGRAM(list, follow);
 *
 * Compiled by `clang -target bpf` it is an object that rr_chain_open() loads into
 * the wait loop of a ring: each step is verified once, by itself. Compiled by a
 * host compiler it is `struct rr_chain_program list_chain`, which the library runs
 * where the kernel has no io_uring BPF.
 *
 * A step sees c (chain.h), block and bytes; it returns a chain_verdict or -errno.
 * It has no state but the lookup's scratch. Loops are written with rr_for, or with
 * rr_may_go_on() in their condition (types.h).
 */
#ifndef RINGRAID_CHAIN_BPF_H
#define RINGRAID_CHAIN_BPF_H

#ifdef __bpf__
#include "kernel.bpf.h"
#include <linux/nvme_ioctl.h>
#endif
#include "chain.h"
#include "ring.h"

#define CHAIN_STEP(name)                                                                           \
	RR_FN int name(chain_t *c RR_ARG_ARENA CHAIN_MAYBE_UNUSED,                                 \
		       chain_block_t *block RR_ARG_ARENA CHAIN_MAYBE_UNUSED,                       \
		       rr_u32 bytes CHAIN_MAYBE_UNUSED)
#define CHAIN_MAYBE_UNUSED __attribute__((unused))

/* The read-only variable of a program, set by the library before load. */
struct chain_config {
	struct rr_ring_offsets at;
	rr_u64 arena;
};

#define CHAIN_COUNT_(a, b, c, d, e, f, g, h, n, ...) n
#define CHAIN_COUNT(...)			     CHAIN_COUNT_(__VA_ARGS__, 8, 7, 6, 5, 4, 3, 2, 1)

#ifdef __bpf__

#define CHAIN_LICENSE(text) char LICENSE[] SEC("license") = text

volatile rr_u32 rr_zero;

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1024); /* pages; the library brings its own */
	__ulong(map_extra, RR_ARENA_ADDRESS);
} chain_arena SEC(".maps");

const volatile struct chain_config chain_config SEC(".rodata.chain") = {
	.at = { .bytes = 64 + CHAIN_CQ_ENTRIES * 16,
		.sqe_shift = RR_RING_SQE_SHIFT,
		.cqe_shift = RR_RING_CQE_SHIFT },
	.arena = RR_ARENA_ADDRESS,
};

#define chain_host_offsets() (&chain_config.at)

static inline __attribute__((always_inline)) int chain_call_step(chain_t *c, chain_block_t *block,
								 rr_u32 bytes);

#include "chain_turn.h"

SEC("struct_ops.s/loop_step")
int BPF_PROG(chain_loop, struct iou_ctx *ring, struct iou_loop_params *params)
{
	rr_u8 *cq = bpf_io_uring_get_region(ring, IOU_REGION_CQ, chain_config.at.bytes);
	rr_u8 *sq = bpf_io_uring_get_region(ring, IOU_REGION_SQ,
					    CHAIN_SQ_ENTRIES << chain_config.at.sqe_shift);
	chain_shared_t *s;
	rr_u32 pending;
	int verdict;

	if (!cq || !sq)
		return IOU_LOOP_STOP;
	/* Ties the arena to the program: its address alone is only a number. */
	asm volatile("" ::"r"(&chain_arena));
	s = (chain_shared_t *)(void *)chain_config.arena;
	verdict = chain_turn(s, sq, cq);
	pending = s->sq_tail - chain_ring_word(cq, chain_config.at.sq_head);
	if (pending) {
		int done = bpf_io_uring_submit_sqes(ring, pending);

		s->count.submits++;
		/* What the kernel had no memory for stays in the ring for the next turn. */
		if (done != (int)pending && verdict == CHAIN_TURN_WAIT)
			verdict = CHAIN_TURN_AGAIN;
	}
	if (verdict == CHAIN_TURN_STOP)
		return IOU_LOOP_STOP;
	params->cq_wait_idx = chain_ring_word(cq, chain_config.at.cq_head) +
			      (verdict == CHAIN_TURN_WAIT ? s->wait : 0);
	return IOU_LOOP_CONTINUE;
}

SEC(".struct_ops.link")
struct io_uring_bpf_ops chain_ops = { .loop_step = (void *)chain_loop };

#define CHAIN_CASE_1(n, f, ...)                                                                    \
	case n:                                                                                    \
		return f(c, block, bytes);
#define CHAIN_CASE_2(n, f, ...) CHAIN_CASE_1(n, f) CHAIN_CASE_1(n + 1, __VA_ARGS__)
#define CHAIN_CASE_3(n, f, ...) CHAIN_CASE_1(n, f) CHAIN_CASE_2(n + 1, __VA_ARGS__)
#define CHAIN_CASE_4(n, f, ...) CHAIN_CASE_1(n, f) CHAIN_CASE_3(n + 1, __VA_ARGS__)
#define CHAIN_CASE_5(n, f, ...) CHAIN_CASE_1(n, f) CHAIN_CASE_4(n + 1, __VA_ARGS__)
#define CHAIN_CASE_6(n, f, ...) CHAIN_CASE_1(n, f) CHAIN_CASE_5(n + 1, __VA_ARGS__)
#define CHAIN_CASE_7(n, f, ...) CHAIN_CASE_1(n, f) CHAIN_CASE_6(n + 1, __VA_ARGS__)
#define CHAIN_CASE_8(n, f, ...) CHAIN_CASE_1(n, f) CHAIN_CASE_7(n + 1, __VA_ARGS__)
#define CHAIN_CASES__(k, ...)	CHAIN_CASE_##k(0, __VA_ARGS__)
#define CHAIN_CASES_(k, ...)	CHAIN_CASES__(k, __VA_ARGS__)

/* Steps are numbered in this order, from 0. */
#define CHAIN_PROGRAM(name, ...)                                                                   \
	static inline __attribute__((always_inline)) int chain_call_step(                          \
		chain_t *c, chain_block_t *block, rr_u32 bytes)                                    \
	{                                                                                          \
		switch (c->step) {                                                                 \
			CHAIN_CASES_(CHAIN_COUNT(__VA_ARGS__), __VA_ARGS__)                        \
		}                                                                                  \
		return -CHAIN_EINVAL;                                                              \
	}                                                                                          \
	struct chain_program_##name

#else

typedef int (*chain_step_fn)(struct chain *c, const rr_u8 *block, rr_u32 bytes);

struct rr_chain_program {
	const char *name;
	rr_u32 abi_version;
	rr_u32 steps;
	chain_step_fn step[CHAIN_STEPS_MAX];
};

#define CHAIN_LICENSE(text) RR_STATIC_ASSERT(sizeof(text) > 1, "a licence")

#define CHAIN_PROGRAM(name, ...)                                                                   \
	const struct rr_chain_program name##_chain = {                                             \
		#name, CHAIN_ABI_VERSION, CHAIN_COUNT(__VA_ARGS__), { __VA_ARGS__ }                \
	}

#endif

#endif /* RINGRAID_CHAIN_BPF_H */
