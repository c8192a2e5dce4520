# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/log.h
# Partial parity lacks what is before and behind a written part.
/^RR_FN int rr_log_sum/,/^}/s/^		rr_log_take_rest(a, q, slot, role);/		(void)role;/
