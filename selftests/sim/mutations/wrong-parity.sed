# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/start.h
# The parity of a write goes to the member after the right one.
/^RR_FN int rr_slot_init_write/,/^}/s/rr_slot_place(a, s, &p,/p.parity = (p.parity + 1) % a->geometry.members;\
	&/
