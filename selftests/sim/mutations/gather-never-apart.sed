# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# What could not be done together is tried together again.
s/	if (s->apart)$/	if (0)/
