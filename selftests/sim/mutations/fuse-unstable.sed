# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/ring/fuse.h
# The payload is read twice: once for parity, once for the data.
/^RR_FN int rr_fuse_modify/,/^}/{
s/RR_XOR_REF_COPY/0/
s/return rr_host_xor(host, refs, 3, bytes, RR_XOR_ACCUMULATE);/ret = rr_host_xor(host, refs, 2, bytes, RR_XOR_ACCUMULATE);\
	return ret ? ret : rr_fuse_copy_in(host, a, q, slot, role);/
}
