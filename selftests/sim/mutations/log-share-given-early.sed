# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A share is given back when the writes are begun.
/^RR_FN int rr_slot_copied_in/,/^}/s/^	rr_slot_enter(a, q, slot, RR_PHASE_WRITE, s->write_mask);/	if (s->log) { rr_log_leave(a, q, slot); s->log = RR_LOG_SHARE; } rr_slot_enter(a, q, slot, RR_PHASE_WRITE, s->write_mask); s->log = 0;/
