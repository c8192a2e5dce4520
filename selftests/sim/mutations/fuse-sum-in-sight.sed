# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/ring/fuse.h
# A lost block is summed up in its client's pages.
/^RR_FN int rr_fuse_rebuild/,/^}/s/ret = rr_fuse_sum_to(host, a, q, slot, role,/rr_ref_client(\&refs[0], s, role, 0);\
	return rr_fuse_sum(host, a, q, slot,/
