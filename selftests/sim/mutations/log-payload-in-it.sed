# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/log.h
# Partial parity has the old data in it.
s/^		rr_slot_fold(a, q, slot);//
