# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/log.h
# Partial parity lacks what is between gathered blocks.
/^RR_FN int rr_log_take_rest/,/^}/s/^	if (s->data_mask & s->gaps & 1U << r) {/	if (s->data_mask \& s->gaps \& 1U << r) { return 0;/
