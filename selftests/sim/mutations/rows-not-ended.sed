# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A write that keeps nothing does not end what others keep.
/^RR_FN int rr_slot_finish/,/^}/s/if (wrote || s->keeps)/if (s->keeps)/
