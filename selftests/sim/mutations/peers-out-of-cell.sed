# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/start.h
# A rebuild delivers its peers' whole cells, of which it read a part.
s/rr_slot_carry_all(a, q, slot, (base + s->lo) | (base + s->hi) << 16);/rr_slot_carry_all(a, q, slot, window + 0 * base);/
