# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# Where the host fuses, the first is to blame for any copy.
/^RR_STEP void rr_slot_copy_failed/,/^}/s/rr_slot_fused(a, q, s) ? s->blame : //
