# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# What is written where the job was already does not go to the replacement.
/^RR_STEP void rr_slot_write_replacement/,/^}/s/if (!(s->write_mask >> role \& 1)/if (s->cell < rr_load(a->job.frontier) || !(s->write_mask >> role \& 1)/
