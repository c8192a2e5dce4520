# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/kept.h
# A unit of which a part was written counts as kept.
/^RR_STEP rr_u32 rr_kept_units/,/^}/s/rr_u32 end = hi >> shift;/rr_u32 end = ((hi - 1) >> shift) + 1;/
