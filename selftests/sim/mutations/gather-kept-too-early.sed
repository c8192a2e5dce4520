# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# What is kept is judged before all units are locked.
/^RR_FN int rr_slot_lock/,/^}/{
s/rr_slot_borrow(a, q, slot, rr_kept_locked(a, q, slot));/;/
s/s->locked = 1;/&\
	if (s->op == RR_OP_WRITE)\
		rr_slot_borrow(a, q, slot, rr_kept_locked(a, q, slot));/
}
