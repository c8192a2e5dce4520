# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A write in the window of a rebuild leaves the target out.
/^RR_STEP int rr_slot_missing/,/^}/s/s->cell >= rr_load(a->job.next)/s->cell >= rr_load(a->job.frontier)/
