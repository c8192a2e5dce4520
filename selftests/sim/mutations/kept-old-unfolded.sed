# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# Where nothing has to be read, the old data stays in the parity.
s/if (s->plan == RR_PLAN_RMW \&\& !rr_slot_fused(a, q, s))/if (0)/
