# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# Read-modify-write of a block that cannot be read.
/^RR_FN int rr_slot_choose/,/^}/s/if (unsynced || ((s->data_mask | parity_bit) & lost_bit))/if (unsynced)/
