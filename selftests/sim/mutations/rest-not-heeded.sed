# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/engine.h
# A write starts though the queue has agreed to rest.
s/if (rr_load(a->rest))/if (0)/
