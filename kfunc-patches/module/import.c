// SPDX-License-Identifier: GPL-2.0-only
/*
 * io_import_fixed() as in io_uring/rsrc.c of Linux 7.3, which does not export
 * it: a range of a registered buffer as an iterator, with range and direction
 * checked. Buffers of the kernel (IO_REGBUF_F_KBUF) have segments of any
 * length; those of user space have folios, all of one size but the first and
 * the last one.
 */
#include "rsrc.h"

static int check_range(u64 addr, size_t len, const struct io_mapped_ubuf *imu)
{
	u64 end;

	if (check_add_overflow(addr, (u64)len, &end))
		return -EFAULT;
	if (addr < imu->ubuf || end > imu->ubuf + imu->len)
		return -EFAULT;
	return len > MAX_RW_COUNT ? -EFAULT : 0;
}

int io_import_fixed(int ddir, struct iov_iter *iter, struct io_mapped_ubuf *imu,
		    u64 buf_addr, size_t len)
{
	const struct bio_vec *bvec = imu->bvec;
	size_t offset, folio_mask;
	unsigned int segments;
	int ret;

	ret = check_range(buf_addr, len, imu);
	if (ret)
		return ret;
	if (!(imu->dir & (1 << ddir)))
		return -EFAULT;
	offset = buf_addr - imu->ubuf;
	if (imu->flags & IO_REGBUF_F_KBUF) {
		iov_iter_bvec(iter, ddir, bvec, imu->nr_bvecs, len + offset);
		iov_iter_advance(iter, offset);
		return 0;
	}
	folio_mask = (1UL << imu->folio_shift) - 1;
	if (offset >= bvec->bv_len) {
		offset -= bvec->bv_len;
		bvec += 1 + (offset >> imu->folio_shift);
		offset &= folio_mask;
	}
	segments = (offset + len + bvec->bv_offset + folio_mask) >> imu->folio_shift;
	iov_iter_bvec(iter, ddir, bvec, segments, len);
	iter->iov_offset = offset;
	return 0;
}
