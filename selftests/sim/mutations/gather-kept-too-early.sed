# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# What is kept is judged before all units are locked.
/^RR_FN int rr_slot_lock/,/^}/{
/rr_kept_locked/d
s/s->locked = 1;/&\
	rr_kept_locked(a, s, rr_load(a->state));/
}
