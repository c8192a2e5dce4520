# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A plan that is made again keeps its share.
/^RR_FN int rr_slot_choose/,/^}/{/^	if (s->log)$/,/^		rr_log_leave/d
}
