# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/borrow.h
# A block that is written in part counts as written.
/^RR_STEP rr_u32 rr_slot_partial/,/^}/s/if (!(hull & ~s->whole\[role\]) ||/if (1 ||/
