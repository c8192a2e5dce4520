/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What bpf_xor.c uses of the kernel's io_uring/rsrc.h and does not find in a
 * public header: two structures, and a function that is not exported.
 *
 * The structures are those of Linux 7.3. layout.c compares them with the
 * running kernel's before anything else is done. io_import_fixed() follows
 * io_uring/rsrc.c of the same version.
 */
#ifndef RR_MODULE_RSRC_H
#define RR_MODULE_RSRC_H

#include <linux/bvec.h>
#include <linux/io_uring_types.h>
#include <linux/lockdep.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/uio.h>

enum {
	IO_REGBUF_F_KBUF		= 1,
};

struct io_rsrc_node {
	unsigned char			type;
	int				refs;

	u64 tag;
	union {
		unsigned long file_ptr;
		struct io_mapped_ubuf *buf;
	};
};

struct io_mapped_ubuf {
	u64		ubuf;
	size_t		len;
	unsigned int	nr_bvecs;
	unsigned int    folio_shift;
	refcount_t	refs;
	u8		flags;
	u8		dir;
	void		(*release)(void *);
	void		*priv;
	struct bio_vec	bvec[];
};

static inline struct io_rsrc_node *io_rsrc_node_lookup(struct io_rsrc_data *data,
						       unsigned int index)
{
	if (index < data->nr)
		return data->nodes[array_index_nospec(index, data->nr)];
	return NULL;
}

int io_import_fixed(int ddir, struct iov_iter *iter, struct io_mapped_ubuf *imu,
		    u64 buf_addr, size_t len);

#endif /* RR_MODULE_RSRC_H */
