# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A parity that means nothing is modified.
/^RR_FN int rr_slot_choose/,/^}/s/if (unsynced || /if (/
