# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A bad block is rebuilt for the client, but not rewritten.
s/if (!s->error && s->plan == RR_PLAN_REBUILD &&/if (0 \&\& s->plan == RR_PLAN_REBUILD \&\&/
