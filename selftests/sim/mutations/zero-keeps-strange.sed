# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/zero.h
# What a slot kept of another cell counts for the one that becomes zeros.
/^RR_FN int rr_zero_start_cell/,/^}/{/s->keeps = RR_KEEPS_NOTHING;/d}
