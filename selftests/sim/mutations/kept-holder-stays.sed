# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/kept.h
# What was written of several blocks still has the holder that it had before.
s/units &= s->units\[s->parity & (RR_MEMBERS_MAX - 1)\];/units \&= ~s->units[s->parity \& (RR_MEMBERS_MAX - 1)];/
