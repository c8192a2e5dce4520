# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/lock.h
# Only the first unit of a range is locked.
s/rr_u32 end = ((hi - 1) >> shift) + 1;/rr_u32 end = first + (hi > 0);/
