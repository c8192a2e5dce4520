# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A queue forgets its own waiters when it unlocks.
s/if (wake >> q->id & 1)/if (0)/
