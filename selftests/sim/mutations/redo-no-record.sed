# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# The phase does not say that a row is being written.
s/rr_slot_enter(a, q, slot, RR_PHASE_WRITE, s->write_mask);/rr_slot_enter(a, q, slot, RR_PHASE_REPAIR, s->write_mask);/
