# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A plan's epoch is of another state than its members.
s/s->epoch = rr_state_epoch(state);/s->epoch = rr_state_epoch(rr_load(a->state));/
