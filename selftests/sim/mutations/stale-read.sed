# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/start.h
# Direct reads go on after their member is out.
/^RR_FN int rr_read_chunk/,/^}/s/if (rr_role_out(a, role, rr_member_cell(a, p\.stripe, part\.to - 1)) ||/if (/
/^RR_STEP rr_u32 rr_read_rebuilt/,/^}/s/return 1U << missing;/return 0;/
