# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# Read-modify-write leaves the old data in parity.
/^RR_STEP void rr_slot_use_old/,/^}/{
s/if (s->plan == RR_PLAN_RMW)/if (0)/
}
