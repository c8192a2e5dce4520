# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# Of several runs of units parity gets the first alone.
/^RR_FN int rr_slot_fold/,/^}/s/rr_for_runs (run, s->units\[role\]) {/if ((run = rr_first_run(s->units[role]))) {/
