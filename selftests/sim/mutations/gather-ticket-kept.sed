# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/gather.h
# A ticket is not given back.
/^RR_STEP rr_u32 rr_rider_leaves/,/^}/s/if (rider >= RR_TICKET) {/if (0) {/
