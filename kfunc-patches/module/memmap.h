/* SPDX-License-Identifier: GPL-2.0-only */
/* What bpf_xor.c uses of the kernel's io_uring/memmap.h. */
#ifndef RR_MODULE_MEMMAP_H
#define RR_MODULE_MEMMAP_H

#include <linux/io_uring_types.h>

static inline void *io_region_get_ptr(struct io_mapped_region *mr)
{
	return mr->ptr;
}

static inline bool io_region_is_set(struct io_mapped_region *mr)
{
	return !!mr->nr_pages;
}

static inline size_t io_region_size(struct io_mapped_region *mr)
{
	return (size_t)mr->nr_pages << PAGE_SHIFT;
}

#endif /* RR_MODULE_MEMMAP_H */
