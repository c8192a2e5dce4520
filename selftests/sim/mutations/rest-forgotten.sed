# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/engine.h
# A write that waited is not begun when the array is awake.
s/if (q->rest_wait.head != RR_NIL)/if (0)/
