# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/gather.h
# What lies between two payloads counts as written.
/if (from > s->to\[role\] || to < s->from\[role\])/,+1d
