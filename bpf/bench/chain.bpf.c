// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A chain of dependent reads inside io_uring's wait loop: each completion
 * issues the next read, as a READ_FIXED of a block device or as an NVMe command.
 */
#include "../include/ringraid/kernel.bpf.h"
#include "../ring/nvme.h"
#include "chain.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

volatile rr_u32 rr_zero;

const volatile struct chain_config config = {
	.at = { .bytes = 4096, .sqe_shift = RR_RING_SQE_SHIFT, .cqe_shift = RR_RING_CQE_SHIFT },
};

/* In a section of its own, so that the loader finds it. */
struct chain_state state SEC(".data.chain");

#define word(base, offset) (*(volatile rr_u32 *)((base) + (offset)))

static __always_inline void read_next(rr_u8 *sq, rr_u32 i)
{
	rr_u64 *w = (rr_u64 *)(sq + ((rr_u64)(i & (CHAIN_SQ_ENTRIES - 1)) << config.at.sqe_shift));
	struct io_uring_sqe *s = (struct io_uring_sqe *)w;
	rr_u64 block = state.block++;

	w[0] = w[1] = w[2] = w[3] = w[4] = w[5] = w[6] = w[7] = 0;
	s->flags = 1 << 0; /* IOSQE_FIXED_FILE */
	s->fd = CHAIN_FILE;
	s->buf_index = CHAIN_BUFFER;
	if (rr_ring_is_nvme(&config.at)) {
		struct rr_nvme_command *c = (struct rr_nvme_command *)((rr_u8 *)s + 48);

		w[8] = w[9] = w[10] = w[11] = w[12] = w[13] = w[14] = w[15] = 0;
		s->opcode = IORING_OP_URING_CMD;
		s->cmd_op = RR_NVME_URING_CMD_IO;
		s->uring_cmd_flags = RR_URING_CMD_FIXED;
		c->opcode = RR_NVME_READ;
		c->nsid = config.nsid;
		c->addr = config.buffer;
		c->data_len = CHAIN_BLOCK_BYTES;
		c->cdw10 = block * (CHAIN_BLOCK_BYTES >> CHAIN_LBA_SHIFT);
		c->cdw12 = (CHAIN_BLOCK_BYTES >> CHAIN_LBA_SHIFT) - 1;
		return;
	}
	s->opcode = IORING_OP_READ_FIXED;
	s->addr = config.buffer;
	s->len = CHAIN_BLOCK_BYTES;
	s->off = block * CHAIN_BLOCK_BYTES;
}

SEC("struct_ops.s/loop_step")
int BPF_PROG(chain_step, struct iou_ctx *ring_ctx, struct iou_loop_params *params)
{
	rr_u8 *cq = bpf_io_uring_get_region(ring_ctx, IOU_REGION_CQ, config.at.bytes);
	rr_u8 *sq = bpf_io_uring_get_region(ring_ctx, IOU_REGION_SQ,
					    CHAIN_SQ_ENTRIES << config.at.sqe_shift);
	rr_u32 head, tail;

	if (!cq || !sq)
		return IOU_LOOP_STOP;
	head = word(cq, config.at.cq_head);
	if (state.in_flight && head != word(cq, config.at.cq_tail)) {
		rr_u32 n = head & (2 * CHAIN_SQ_ENTRIES - 1);
		volatile rr_s32 *res = (volatile rr_s32 *)(cq + config.at.cqes +
							   ((rr_u64)n << config.at.cqe_shift) + 8);

		if (*res != (rr_s32)config.good)
			state.error = *res ? *res : -RR_EIO;
		state.in_flight = 0;
		word(cq, config.at.cq_head) = ++head;
	}
	if (!state.in_flight) {
		if (!state.left || state.error)
			return IOU_LOOP_STOP;
		tail = word(cq, config.at.sq_tail);
		read_next(sq, tail);
		word(cq, config.at.sq_tail) = tail + 1;
		state.left--;
		state.in_flight = 1;
		if (bpf_io_uring_submit_sqes(ring_ctx, 1) != 1) {
			state.error = -RR_EAGAIN;
			return IOU_LOOP_STOP;
		}
	}
	params->cq_wait_idx = head + 1;
	return IOU_LOOP_CONTINUE;
}

SEC(".struct_ops.link")
struct io_uring_bpf_ops chain_ops = { .loop_step = (void *)chain_step };
