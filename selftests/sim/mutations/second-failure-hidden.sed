# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h bpf/engine/request.h
# A write that a second member failed is answered well.
/^RR_STEP void rr_slot_write_failed/,/^}/s/s->error = -RR_EIO;/s->error = 0;/
/^RR_FN int rr_request_done/,/^}/s/r->error = -RR_EIO;/r->error = r->error;/
