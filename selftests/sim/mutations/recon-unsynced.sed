# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A write computes the block that it lacks from a parity that means nothing.
/^RR_FN int rr_slot_choose/,/^}/s/} else if (unsynced) {/} else if (0) {/
