# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# Read-modify-write of a block that cannot be read.
s/rmw = (s->data_mask | parity_bit) & lost_bit ? 64 : rr_count_bits(s->data_mask) + 1;/rmw = rr_count_bits(s->data_mask) + 1;/
