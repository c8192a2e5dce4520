# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# An interrupted read is tried again on a member that is out.
/^RR_STEP int rr_slot_reads_lost/,/^}/s/== RR_PHASE_READ &&/== RR_PHASE_FREE \&\&/
