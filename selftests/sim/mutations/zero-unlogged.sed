# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# Rows of zeros go to members before a log has them.
/^RR_FN int rr_slot_plan_write/,/^}/s/if (rr_log_wants(a, s))/if (s->zero != RR_ZERO_ROWS \&\& rr_log_wants(a, s))/
