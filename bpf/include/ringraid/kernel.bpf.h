/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the BPF host uses of the kernel, in one place.
 *
 * Written by hand instead of a vmlinux.h of several megabytes: the object
 * builds on a machine that has no such kernel, and everything that depends on
 * one is on this page. libbpf matches the types by name when it loads.
 *
 * io_uring BPF ops: Linux 7.1 (io_uring/bpf-ops.c, io_uring/loop.c); the
 * context is named iou_ctx since 7.2. The rest is uapi.
 */
#ifndef RINGRAID_KERNEL_BPF_H
#define RINGRAID_KERNEL_BPF_H

#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/ublk_cmd.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "ring.h"
#include "types.h"

struct iou_ctx {
};

struct iou_loop_params {
	__u32 cq_wait_idx; /* absolute CQ index to sleep until */
} __attribute__((preserve_access_index));

struct io_uring_bpf_ops {
	int (*loop_step)(struct iou_ctx *ctx, struct iou_loop_params *params);
	__u32 ring_fd;
	void *priv;
};

enum {
	IOU_LOOP_CONTINUE = 0,
	IOU_LOOP_STOP = 1,
};

enum {
	IOU_REGION_MEM = 0,
	IOU_REGION_CQ = 1,
	IOU_REGION_SQ = 2,
};

extern int bpf_io_uring_submit_sqes(struct iou_ctx *ctx, __u32 nr) __ksym;
extern __u8 *bpf_io_uring_get_region(struct iou_ctx *ctx, __u32 id, const __u64 size__sz) __ksym;

/* Proposed, see kfunc-patches/: absent from most kernels. */
extern int uring_bpf_xor(struct iou_ctx *ctx, const struct rr_xor_ref *refs, __u32 refs__sz,
			 __u32 bytes, __u64 flags) __weak __ksym;

#endif /* RINGRAID_KERNEL_BPF_H */
