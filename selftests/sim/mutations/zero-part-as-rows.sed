# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A part of a row is taken for all of it.
s/s->zero = rr_slot_partial(a, s) ? RR_ZERO_PAYLOAD : RR_ZERO_ROWS;/s->zero = RR_ZERO_ROWS;/
