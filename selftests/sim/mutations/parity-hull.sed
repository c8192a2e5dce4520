# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/start.h
# Parity is written as far as one data role, not over the hull.
s/	s->to\[role\] = s->hi;/	s->to[role] = s->to[rr_lowest_bit(s->data_mask) \& 15] > s->lo ? s->to[rr_lowest_bit(s->data_mask) \& 15] : s->hi;/
