# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A read is answered from a parity that means nothing.
/^RR_FN int rr_slot_plan_read/,/^}/s/rr_unsynced_at(a, state, s->cell)/0/
