# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# The copy of one that fails is no error where there are others.
/^RR_STEP void rr_slot_copy_failed/,/^}/{
/s->spoilt = 1;/d
s/rr_request_at(a, q, tag)->error = -RR_EIO;/(void)q;/
}
