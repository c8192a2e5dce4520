/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Members behind NVMe's passthrough: commands to the namespace's character
 * device, and what their status means.
 *
 * The block layer is not asked: no plug, no scheduler, no accounting;
 * the driver's completion goes to the ring, whose next turn issues what follows.
 * What the block layer would do is therefore done here: commands stay below the
 * member's limits (the loader plans them), and errors are judged and tried again by
 * the engine. The driver does not retry passthrough. Flushes alone go by the block
 * device: they are the flusher's (loader/engine/flusher.h), who has one way for all.
 * Its timeout is the queue's (sysfs io_timeout): it aborts the command, the next
 * time it resets the controller, and what was in flight comes back as -EINTR,
 * which is tried again.
 *
 * Sources: NVM Express Base and NVM Command Set Specification; struct
 * nvme_uring_cmd of <linux/nvme_ioctl.h> (user_host.c compares it).
 */
#ifndef RINGRAID_RING_NVME_H
#define RINGRAID_RING_NVME_H

#include "../engine/member.h"

enum {
	RR_NVME_WRITE = 1,
	RR_NVME_READ = 2,
	RR_NVME_FUA = 1 << 30, /* in cdw12 */
	RR_URING_CMD_FIXED = 1 << 0,
};

#define RR_NVME_URING_CMD_IO	 0xc0484e80U
#define RR_NVME_URING_CMD_IO_VEC 0xc0484e81U

struct rr_nvme_command {
	rr_u8 opcode;
	rr_u8 flags;
	rr_u16 pad;
	rr_u32 nsid;
	rr_u32 cdw2, cdw3;
	rr_u64 metadata;
	rr_u64 addr;
	rr_u32 metadata_len;
	rr_u32 data_len;
	rr_u32 cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
	rr_u32 timeout_ms; /* 0: the queue's */
	rr_u32 pad2;
};

RR_STATIC_ASSERT(sizeof(struct rr_nvme_command) == 72, "struct nvme_uring_cmd");

/* The status field as the driver gives it, without the phase bit. */
enum {
	RR_NVME_TYPE = 7 << 8,
	RR_NVME_TYPE_PATH = 3 << 8,
	RR_NVME_CODE = 0x7ff,
	RR_NVME_INTERRUPTED = 0x21,
	RR_NVME_NOT_READY = 0x82,
	RR_NVME_RETRY_DELAY = 3 << 11, /* which of the controller's delays */
	RR_NVME_DO_NOT_RETRY = 1 << 14,
};

/*
 * Only what is not to be tried again is final: as the driver does it for the
 * block layer, every other error gets a few more tries. What says that the
 * controller or the path is busy with itself, or names a delay, is waited for as
 * long as a member may take.
 */
RR_STEP rr_s32 rr_nvme_error(rr_u32 status)
{
	rr_u32 code = status & RR_NVME_CODE;

	if (status & RR_NVME_DO_NOT_RETRY)
		return -RR_EIO;
	if ((status & RR_NVME_TYPE) == RR_NVME_TYPE_PATH || (status & RR_NVME_RETRY_DELAY) ||
	    code == RR_NVME_INTERRUPTED || code == RR_NVME_NOT_READY)
		return -RR_EAGAIN;
	return 0;
}

/* A completion as the engine knows it: bytes, all of them, or -errno. */
RR_STEP rr_s32 rr_nvme_result(rr_array_t *a, rr_queue_t *q, rr_u64 token, rr_s32 res)
{
	rr_u32 kind = rr_token_kind(token);

	/* The flusher answers with 0 or -errno. */
	if (kind == RR_TOKEN_FLUSH)
		return res;
	/* Copies are not the member's. */
	if (kind == RR_TOKEN_SLOT) {
		rr_slot_t *s = rr_slot_at(a, q, rr_token_index(token));

		if (s->phase == RR_PHASE_COPY_IN || s->phase == RR_PHASE_COPY_OUT)
			return res;
		/* Nor are zeros, of which the flusher says how many bytes. */
		if (s->zero == RR_ZERO_ROWS)
			return res;
	}
	if (res < 0)
		return res;
	if (!res)
		return RR_RESULT_WHOLE;
	return rr_nvme_error(res);
}

#endif /* RINGRAID_RING_NVME_H */
