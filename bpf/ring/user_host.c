// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "user_host.h"

#include <errno.h>
#include <liburing.h>
#include <linux/nvme_ioctl.h>
#include <linux/ublk_cmd.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

/* step.h asks for the offsets by name; a host thread serves one ring. */
static __thread const struct rr_ring_offsets *offsets;

#define rr_host_offsets() offsets

static inline long rr_host_descriptor(rr_u64 table, rr_u32 tag, struct ublksrv_io_desc *d)
{
	memcpy(d, (const struct ublksrv_io_desc *)(uintptr_t)table + tag, sizeof(*d));
	return 0;
}

static inline rr_u64 rr_host_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (rr_u64)now.tv_sec * 1000000000U + (rr_u64)now.tv_nsec;
}

/* The client's pages are out of reach: copies are SQEs, and rr_queue.fused stays 0. */
typedef struct rr_user_host rr_host_t;
#define rr_host_fuses()		       0
#define rr_host_fuse(host, a, q, slot) ((void)(host), (void)(slot), -EOPNOTSUPP)

#include "step.h"

RR_STATIC_ASSERT(sizeof(struct rr_nvme_command) == sizeof(struct nvme_uring_cmd) &&
			 offsetof(struct rr_nvme_command, addr) ==
				 offsetof(struct nvme_uring_cmd, addr) &&
			 offsetof(struct rr_nvme_command, cdw10) ==
				 offsetof(struct nvme_uring_cmd, cdw10) &&
			 offsetof(struct rr_nvme_command, timeout_ms) ==
				 offsetof(struct nvme_uring_cmd, timeout_ms),
		 "struct nvme_uring_cmd");
RR_STATIC_ASSERT(RR_NVME_URING_CMD_IO == NVME_URING_CMD_IO &&
			 RR_NVME_URING_CMD_IO_VEC == NVME_URING_CMD_IO_VEC,
		 "linux/nvme_ioctl.h");
RR_STATIC_ASSERT(sizeof(struct rr_bundle_piece) == sizeof(struct iovec) &&
			 offsetof(struct rr_bundle_piece, bytes) == offsetof(struct iovec, iov_len),
		 "struct iovec");

/* The kernel's side of the ring must be seen, and see ours, in order. */
static inline void ring_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

int rr_user_host_run(struct rr_user_host *host)
{
	rr_queue_t *q = rr_queue_at(host->array, host->ring->queue);
	int verdict = RR_STEP_WAIT;
	rr_u32 pending;
	int done;

	offsets = &host->at;
	q->fused = 0;
	for (;;) {
		ring_barrier();
		verdict = rr_step(host, host->array, q, host->ring, host->sq, host->cq);
		ring_barrier();
		if (verdict == RR_STEP_STOP)
			return 0;
		pending = q->sq_tail - rr_ring_word(host->cq, host->at.sq_head);
		rr_count(q, submits, 1);
		rr_count(q, sqes, pending);
		done = io_uring_enter((unsigned int)host->ring_fd, pending, verdict == RR_STEP_WAIT,
				      IORING_ENTER_GETEVENTS, NULL);
		if (done < 0 && done != -EINTR && done != -EAGAIN && done != -EBUSY)
			return done;
	}
}
