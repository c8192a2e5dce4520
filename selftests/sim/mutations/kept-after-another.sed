# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/kept.h
# What another write has changed meanwhile counts as kept.
/^RR_FN int rr_kept_locked/,/^}/s/if (rr_load(l->holder\[unit\]) != who)/if (0)/
