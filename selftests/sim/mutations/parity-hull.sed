# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/start.h
# Parity is written as far as one data role, not over the hull.
s/	s->to\[parity\] = s->hi;/	s->to[parity] = s->to[s->role \& 15] > s->lo ? s->to[s->role \& 15] : s->hi;/
