# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/ring/fuse.h
# A cell that was read again is answered with the sum of peers that were not read.
/^RR_FN int rr_fuse_deliver(/,/^}/s/if (s->plan == RR_PLAN_REBUILD)/if (s->plan)/
