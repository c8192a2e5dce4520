# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A rebuild for a read takes no row lock.
s/if (!rr_lock_try(/if (s->op == RR_OP_WRITE \&\& !rr_lock_try(/
s/s->locked = 1;/s->locked = s->op == RR_OP_WRITE;/
