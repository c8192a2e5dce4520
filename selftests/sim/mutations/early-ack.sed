# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A write is answered when all member writes but one are done.
s/^	rr_count(q, slot_writes, s->pending);/	s->pending -= s->pending > 1;/
