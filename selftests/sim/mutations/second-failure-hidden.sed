# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A write that a second member failed is answered well.
/^RR_STEP void rr_slot_write_failed/,/^}/s/s->error = -RR_EIO;/s->error = 0;/
