# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# Where all of a row becomes zeros parity stays what it was.
/^RR_FN int rr_slot_copied_in/,/^}/s/^	rr_slot_enter(a, q, slot, RR_PHASE_WRITE, s->write_mask);/	if (s->zero == RR_ZERO_ROWS) s->write_mask \&= ~(1U << s->parity);\n&/
