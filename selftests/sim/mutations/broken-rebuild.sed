# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A broken array still rebuilds blocks.
s/if ((state & RR_STATE_BROKEN) || (missing != RR_NO_ROLE && missing != s->role))/if (missing != RR_NO_ROLE \&\& missing != s->role)/
