# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/arena.h
# Of the roles that are out only the first eight are known.
/^RR_STEP rr_u32 rr_state_missing/,/^}/s/if (mask & 0xff00)/if (0)/
