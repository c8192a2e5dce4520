# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Each step reads behind the end of the arena.
/^	verdict = rr_step(/a\
	q->last_error += *(volatile rr_s32 __arena *)rr_at(a, a->bytes);
