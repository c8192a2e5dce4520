/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What bpf_xor.c uses of the kernel's io_uring/loop.h.
 *
 * In a kernel without the series struct iou_ctx has no members, and the
 * verifier takes any memory of a program for one. A module cannot change the
 * type, so a context is believed only if it is a ring of this task.
 */
#ifndef RR_MODULE_LOOP_H
#define RR_MODULE_LOOP_H

#include <linux/io_uring_types.h>
#include <linux/sched.h>
#include <linux/xarray.h>

static inline bool rr_is_ring(const void *ctx)
{
	return current->io_uring && xa_load(&current->io_uring->xa, (unsigned long)ctx);
}

/* Ends the calling kfunc when it is none. */
#define io_loop_demangle_ctx(given)				\
	({							\
		if (!rr_is_ring(given))				\
			return -EINVAL;				\
		(struct io_ring_ctx *)(given);			\
	})

#endif /* RR_MODULE_LOOP_H */
