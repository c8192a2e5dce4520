/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a queue's io_uring host needs to know beside the arena.
 *
 * One page per ring, registered as the ring's memory region, written by the
 * loader before the ring is entered. It holds what belongs to this daemon and
 * dies with it; all that must survive is in the arena.
 */
#ifndef RINGRAID_RING_H
#define RINGRAID_RING_H

#include "abi.h"

enum {
	RR_RING_SQ_ENTRIES = 512,
	RR_RING_CQ_ENTRIES = 8192,
	RR_RING_REGION_BYTES = 4096,
	RR_RING_FILE_CLIENT = 0,  /* registered file: ublkcN */
	RR_RING_FILE_MEMBER0 = 1, /* + role */
	/* NVMe members' block devices: held open exclusively for as long as the ring lives. */
	RR_RING_FILE_HELD0 = 1 + RR_MEMBERS_MAX,
	RR_RING_FILES = 1 + 2 * RR_MEMBERS_MAX,
	/* SQEs in flight at most, so that the CQ ring never overflows. */
	RR_RING_INFLIGHT_MAX = RR_RING_CQ_ENTRIES - 1024,
	/* log2 of bytes; NVMe commands (nvme.h) are larger, and so then is everything. */
	RR_RING_SQE_SHIFT = 6,
	RR_RING_CQE_SHIFT = 4,
	RR_RING_SQE_LARGE_SHIFT = 7,
	RR_RING_CQE_LARGE_SHIFT = 5,
};

/*
 * Registered buffers: 0 .. depth - 1 are the clients' pages by tag, then one that holds
 * what the queue's own slots have. The most that one entry takes is 1 GiB.
 */
RR_STATIC_ASSERT(1ULL * RR_SLOTS_MAX * RR_MEMBERS_MAX * RR_CELL_BYTES_MAX <= 1ULL << 30,
		 "a queue's buffers are one entry");

/*
 * The kernel function uring_bpf_xor(): a range of a registered buffer, and its
 * flags. The names in the kernel are URING_BPF_*; io_uring/bpf_xor.h.
 */
struct rr_xor_ref {
	rr_u64 offset;
	rr_u32 index;
	rr_u32 flags;
};

enum {
	RR_XOR_REF_COPY = 1 << 1,   /* a source, copied into the next reference */
	RR_XOR_ACCUMULATE = 1 << 0, /* dst ^= sources, and not dst = */
	RR_XOR_REFS_MAX = 32,
};

RR_STATIC_ASSERT(sizeof(struct rr_xor_ref) == 16, "struct uring_bpf_ref");
RR_STATIC_ASSERT(RR_XOR_REFS_MAX > 2 * (RR_MEMBERS_MAX - 1), "a full stripe in one call");

struct rr_ring {
	rr_u32 queue;
	rr_u32 zero_copy;   /* ublk registers the request's pages as buffer `tag` */
	rr_u64 descriptors; /* user address of struct ublksrv_io_desc[depth] */
	rr_s32 control_fd;  /* ring that NOTIFY messages go to */
	rr_s32 flusher_fd;  /* ring that flushes members: loader/engine/flusher.h */
	rr_s32 ring_fd[RR_QUEUES_MAX];
	rr_u32 lba_shift;	     /* NVMe members: log2 bytes of their blocks */
	rr_u32 nsid[RR_MEMBERS_MAX]; /* NVMe members: their namespaces, by role */
	rr_s32 log_fd;		     /* ring of the log's writer */
};

RR_STATIC_ASSERT(sizeof(struct rr_ring) <= RR_RING_REGION_BYTES, "one page");

/* Offsets in a ring's mappings, from struct io_uring_params. */
struct rr_ring_offsets {
	rr_u32 sq_head;
	rr_u32 sq_tail;
	rr_u32 cq_head;
	rr_u32 cq_tail;
	rr_u32 cqes;
	rr_u32 bytes; /* of the CQ region */
	rr_u32 sqe_shift;
	rr_u32 cqe_shift;
};

/* Members are driven by NVMe commands: known when the program is loaded. */
#define rr_ring_is_nvme(at) ((at)->sqe_shift == RR_RING_SQE_LARGE_SHIFT)

/* The BPF object's one read-only variable, `ring_at`: set before load. */
struct rr_program_config {
	struct rr_ring_offsets at;
	rr_u64 arena; /* user address of the arena */
	rr_u32 tgid;  /* whose requests are counted when a worker gets them */
	rr_u32 pad;
};

/* The threads' name, then "-" and the number; and its first word, for BPF. */
#define RR_QUEUE_THREAD	     "rr-queue"
#define RR_QUEUE_THREAD_WORD 0x65756575712d7272ULL

/* The thread that flushes the members, which has no number. */
#define RR_FLUSH_THREAD	     "rr-flush"
#define RR_FLUSH_THREAD_WORD 0x6873756c662d7272ULL

/* Where every daemon maps the arena, so that its successor may map it there too. */
#define RR_ARENA_ADDRESS (0x1ULL << 44)

#endif /* RINGRAID_RING_H */
