# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A plan is kept though a member failed since.
s/if (rr_state_epoch(state) != s->epoch || (state & RR_STATE_BROKEN)) {/if (state \& RR_STATE_BROKEN) {/
