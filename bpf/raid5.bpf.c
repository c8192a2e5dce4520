// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The bpf host: a RAID5 ublk queue inside io_uring's wait loop.
 *
 * loop_step (struct io_uring_bpf_ops, kernel 7.1) replaces the wait loop of
 * io_uring_enter. The kernel calls it in the queue's own thread whenever a
 * completion is there; it runs one turn of the queue (ring/step.h) and submits
 * what the turn produced. The daemon's thread stays in one system call for the
 * life of the array.
 *
 * One ops map per ublk queue, all with the same program and the same arena.
 * Which queue a ring is, is in its memory region. The loader sets, before
 * load: each used map's ring_fd, the offsets in `ring_at`, and the arena's
 * address and size; the defaults let the object be verified without it.
 */
#include "include/ringraid/kernel.bpf.h"
#include "include/ringraid/ring.h"
#ifndef RR_KEYS
#define RR_KEYS "raid5_keys.bpf.h"
#endif
#include RR_KEYS

/* A program that nobody resolved counts in the arena; the verifier removes one branch. */
#define rr_count(q, counter, n)                                                                    \
	do {                                                                                       \
		kv_type_of_counters *kept_ = KV_PTR(counters);                                     \
                                                                                                   \
		if (kept_)                                                                         \
			kept_->queue[(q)->id & (RR_QUEUES_MAX - 1)].counter += (n);                \
		else                                                                               \
			(q)->count.counter += (n);                                                 \
	} while (0)

char LICENSE[] SEC("license") = "Dual BSD/GPL";

volatile rr_u32 rr_zero;

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096); /* pages; the loader sets its own */
	__ulong(map_extra, RR_ARENA_ADDRESS);
} rr_arena SEC(".maps");

/*
 * All that this program shares with the daemon and with its successors: one
 * with other structures is refused. Arrays, or clang's BTF only declares them.
 */
const volatile struct rr_shared {
	rr_u32 abi_version;
	struct rr_array array[0];
	struct rr_queue queue[0];
	struct rr_request request[0];
	struct rr_slot slot[0];
	struct rr_lock lock[0];
	struct rr_latencies latencies[0];
	struct rr_bundles bundles[0];
	struct rr_action action[0];
	struct rr_ring ring[0];
	struct rr_program_config config[0];
} rr_shared = { .abi_version = RR_ABI_VERSION };

/* One struct: separate variables would be laid out in any order. */
const volatile struct rr_program_config ring_at = {
	.at = { .bytes = 64 + RR_RING_CQ_ENTRIES * 16, /* !0 for veristat */
		.sqe_shift = RR_RING_SQE_SHIFT,
		.cqe_shift = RR_RING_CQE_SHIFT },
	.arena = RR_ARENA_ADDRESS,
};

/* Volatile throughout, or the compiler takes the defaults for the values. */
#define rr_host_offsets() (&ring_at.at)
#define rr_host_clock()	  bpf_ktime_get_ns()

RR_STEP long rr_host_descriptor(rr_u64 table, rr_u32 tag, struct ublksrv_io_desc *d)
{
	const void *from = (const void *)(table + (rr_u64)tag * sizeof(*d));

	/* The table is a mapping of ublk's own memory: no region can hold it. */
	return bpf_copy_from_user(d, sizeof(*d), from);
}

typedef struct iou_ctx rr_host_t;

/* Written by the queue's own thread, call by call. */
struct rr_xor_ref rr_refs[RR_QUEUES_MAX][RR_XOR_REFS_MAX];

#define rr_host_refs(q) rr_refs[(q)->id & (RR_QUEUES_MAX - 1)]

RR_STEP int rr_host_xor(rr_host_t *host, struct rr_xor_ref *refs, rr_u32 n, rr_u32 bytes,
			rr_u64 flags)
{
	return uring_bpf_xor(host, refs, (n & (RR_XOR_REFS_MAX - 1)) * sizeof(*refs), bytes, flags);
}

#include "ring/fuse.h"

/* Known when the program is loaded: without the function the verifier removes its callers. */
#define rr_host_fuses()		       bpf_ksym_exists(uring_bpf_xor)
#define rr_host_fuse(host, a, q, slot) rr_fuse(host, a, q, slot)

#include "ring/step.h"

RR_STATIC_ASSERT(RR_OPCODE_READV_FIXED == IORING_OP_READV_FIXED &&
			 RR_OPCODE_WRITEV_FIXED == IORING_OP_WRITEV_FIXED,
		 "linux/io_uring.h");

/* io_uring's request, as far as it is looked at. */
struct io_kiocb {
	__u8 opcode;
} __attribute__((preserve_access_index));

/*
 * Counts what io_uring hands to worker threads: what the flusher does, flushes of a member each,
 * and zeros; and nothing of the queues: anything there means that a limit of a member was
 * not honoured. Left out by the loader where the kernel has no such tracepoint.
 */
SEC("tp_btf/io_uring_queue_async_work")
int BPF_PROG(raid5_punt, struct io_kiocb *request, int rw)
{
	union {
		char text[16];
		__u64 words[2];
	} name;

	/* Only these threads: ublk's control commands go to workers by design. */
	if (bpf_get_current_pid_tgid() >> 32 != ring_at.tgid ||
	    bpf_get_current_comm(name.text, sizeof(name.text)) ||
	    (name.words[0] != RR_QUEUE_THREAD_WORD && name.words[0] != RR_FLUSH_THREAD_WORD))
		return 0;
	if (request->opcode == RR_OPCODE_FSYNC)
		KV_ADD(flush_punts, 1);
	else if (request->opcode != RR_OPCODE_FALLOCATE)
		KV_ADD(punts, 1);
	return 0;
}

SEC("struct_ops.s/loop_step")
int BPF_PROG(raid5_loop_step, struct iou_ctx *ring_ctx, struct iou_loop_params *params)
{
	struct rr_ring *ring;
	rr_u8 *cq, *sq;
	rr_array_t *a;
	rr_queue_t *q;
	rr_u32 pending;
	int verdict;

	/* Ties the arena to the program: its address alone is only a number. */
	asm volatile("" ::"r"(&rr_arena));
	a = (rr_array_t *)(void *)ring_at.arena;

	ring = (struct rr_ring *)bpf_io_uring_get_region(ring_ctx, IOU_REGION_MEM,
							 RR_RING_REGION_BYTES);
	cq = bpf_io_uring_get_region(ring_ctx, IOU_REGION_CQ, ring_at.at.bytes);
	sq = bpf_io_uring_get_region(ring_ctx, IOU_REGION_SQ,
				     RR_RING_SQ_ENTRIES << ring_at.at.sqe_shift);
	if (!ring || !cq || !sq)
		return IOU_LOOP_STOP;
	q = rr_queue_at(a, ring->queue & (RR_QUEUES_MAX - 1));

	/* The same for all the time of a program, which takes over parked queues only. */
	q->fused = rr_host_fuses() && ring->zero_copy;
	verdict = rr_step(ring_ctx, a, q, ring, sq, cq);
	pending = q->sq_tail - rr_ring_word(cq, ring_at.at.sq_head);
	if (pending) {
		int done = bpf_io_uring_submit_sqes(ring_ctx, pending);

		rr_count(q, submits, 1);
		rr_count(q, sqes, pending);
		/* What the kernel had no memory for stays in the ring for the next turn. */
		if (done != (int)pending) {
			q->last_error = done;
			verdict = RR_STEP_AGAIN;
		}
	}
	if (verdict == RR_STEP_STOP)
		return IOU_LOOP_STOP;
	params->cq_wait_idx = rr_ring_word(cq, ring_at.at.cq_head) + (verdict == RR_STEP_WAIT);
	return IOU_LOOP_CONTINUE;
}

/* Each ring needs an ops map of its own; the loader creates those that are used. */
#define RR_OPS(n)                                                                                  \
	SEC(".struct_ops.link")                                                                    \
	struct io_uring_bpf_ops raid5_queue##n = { .loop_step = (void *)raid5_loop_step }

RR_OPS(0);
RR_OPS(1);
RR_OPS(2);
RR_OPS(3);
RR_OPS(4);
RR_OPS(5);
RR_OPS(6);
RR_OPS(7);
RR_OPS(8);
RR_OPS(9);
RR_OPS(10);
RR_OPS(11);
RR_OPS(12);
RR_OPS(13);
RR_OPS(14);
RR_OPS(15);
