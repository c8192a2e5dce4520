# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# The cell that was begun last counts as not begun.
/^RR_STEP int rr_slot_missing/,/^}/s/s->cell >= rr_load(a->job.next)/s->cell + 1 >= rr_load(a->job.next)/
