# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/start.h
# Parity is written as far as the last data role, not over the hull.
s/	s->to\[role\] = s->hi;/	s->to[role] = to > cell_from \&\& to <= cell_to \&\& to - cell_from > s->lo ? to - cell_from : s->hi;/
