# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/start.h
# The payload of a chunk is taken from its beginning.
/^RR_FN int rr_slot_carry(/,/^}/s/+ from - p.start;/+ part.from - p.start;/
