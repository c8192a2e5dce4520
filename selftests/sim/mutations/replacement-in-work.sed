# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# What is written where the job is at work does not go to the replacement.
/^RR_STEP void rr_slot_write_replacement/,/^}/s/rr_load(a->job.next)/rr_load(a->job.frontier)/
