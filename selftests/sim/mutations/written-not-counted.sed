# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# Completed writes of parity are not counted for flushes.
s/rr_store(q->written\[role\], q->written\[role\] + 1);/q->written[role] += role != s->parity;/
