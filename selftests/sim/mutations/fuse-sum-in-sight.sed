# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/ring/fuse.h
# A lost block is summed up in its client's pages.
/^RR_FN int rr_fuse_deliver/,/^}/s/ret = rr_fuse_sum_to(host, a, q, slot, lost,/rr_ref_client(\&refs[0], s->tag, s->payload[lost], 0), ret = rr_fuse_sum(host, a, q, slot,/
