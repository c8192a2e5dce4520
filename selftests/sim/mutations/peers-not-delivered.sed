# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/start.h
# Peers are not read for themselves where a chunk is rebuilt, nor delivered from there.
s/^	if (r->rebuilt >> role & 1)$/	if (0)/
