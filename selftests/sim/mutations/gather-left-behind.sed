# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# Those that wait behind a single write are forgotten.
s/(s->more.head & s->behind.head) != RR_NIL/s->more.head != RR_NIL/
