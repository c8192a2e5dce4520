# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/flush.h
# A flush looks at the writes of its own queue only.
s/if (written > rr_load(a->members\[r\].flushed\[i\]))/if ((rr_u32)i == q->id \&\& written > rr_load(a->members[r].flushed[i]))/
