# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# Of a bad block that a write rebuilt, only the payload is rewritten.
s/if (s->plan == RR_PLAN_RECON && (s->write_mask >> lost & 1)) {/if (0) {/
