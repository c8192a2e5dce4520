# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# Read-modify-write leaves the old data in parity.
/^RR_FN int rr_slot_read_done/,/^}/{
/if (s->plan == RR_PLAN_RMW)/d
s/^		rr_slot_fold(a, q, slot);$//
s/else if (s->plan == RR_PLAN_RECON)/if (s->plan == RR_PLAN_RECON)/
}
