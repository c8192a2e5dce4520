# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/kept.h
# Of a role that is not written, what an earlier write covered counts as payload.
s/s->data_mask >> role & 1 ? s->whole\[role\] : 0/s->whole[role]/
