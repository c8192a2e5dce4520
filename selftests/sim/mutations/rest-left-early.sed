# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/rest.h
# Writes that wait start with the next message, before the superblocks say dirty.
/RR_FN int rr_rest_release/,/^}/s/if (rr_load(a->rest))/if (0)/
