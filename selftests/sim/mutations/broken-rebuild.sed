# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A broken array still rebuilds blocks.
/^RR_FN int rr_slot_plan_read/,/^}/s/(state & RR_STATE_BROKEN) || //
