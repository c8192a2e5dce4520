# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A job's cell takes no row lock.
/^RR_FN int rr_slot_lock/,/^}/s/if (!rr_lock_try(/if (s->op != RR_OP_JOB \&\& !rr_lock_try(/
/^RR_FN int rr_slot_lock/,/^}/s/s->locked = 1;/s->locked = s->op != RR_OP_JOB;/
