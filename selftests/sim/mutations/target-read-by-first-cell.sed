# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/start.h
# A read of several cells asks only for the first of them whether the target has it.
/^RR_FN int rr_read_chunk/,/^}/s/part\.to - 1))/part.from))/
/^RR_STEP rr_u32 rr_read_rebuilt/,/^}/s/part\.to - 1))/part.from))/
