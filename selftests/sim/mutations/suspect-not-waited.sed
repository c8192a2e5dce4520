# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/engine.h
# What waits for the look is issued again at the next tick.
s/if (rr_load(a->suspects) >> rr_token_role(token) & 1) {/if (0) {/
