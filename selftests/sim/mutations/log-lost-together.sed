# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# What is missing is written together with others.
/^RR_FN int rr_log_part/,/^}/s/if (missing == RR_NO_ROLE || /if (missing != 0x1ff || /
