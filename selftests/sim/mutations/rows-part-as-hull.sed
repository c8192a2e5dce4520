# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/kept.h
# What a read has of one chunk only counts as kept of the others it read.
/^RR_FN int rr_kept_note/,/^}/s/int parts = s->plan == RR_PLAN_RMW || s->plan == RR_PLAN_READ;/int parts = s->plan == RR_PLAN_RMW;/
