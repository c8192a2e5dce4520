# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/ring/fuse.h
# A fused read-modify-write leaves the old data in parity.
s/^		ret = rr_host_xor(host, refs, 2, bytes, RR_XOR_ACCUMULATE);/		ret = 0;/
