# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A write under way is finished by its old plan in a broken array.
s/if (rr_state_epoch(state) != s->epoch || (state & RR_STATE_BROKEN)) {/if (rr_state_epoch(state) != s->epoch) {/
