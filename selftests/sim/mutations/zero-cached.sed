# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# Zeros that must be durable when they are answered are not.
s/act += RR_ACT_ZERO - RR_ACT_WRITE;/act = RR_ACT_ZERO;/
