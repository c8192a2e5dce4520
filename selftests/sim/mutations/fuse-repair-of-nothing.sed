# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/ring/fuse.h
# A rebuilt block goes to the client only, and its rewrite comes from a buffer without it.
/^RR_FN int rr_fuse_rebuild/,/^}/s/if (rr_load(a->state) >> role & 1) {/if (rr_load(a->state)) {}\
	{/
