# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/start.h
# Of a failed direct read only the first cell is read again.
s/r->want\[role\] |= cells;/r->want[role] |= cells \& -cells;/
