# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# Without parity, what lies between two payloads in a unit is written and was not read.
s/reads = rr_slot_torn(s) & ~kept;/reads = 0;/
