# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/zero.h
# A write is gathered with zeros, whose request is of any length.
/^	if (q->kept_at\[place\] == slot)$/,+1d
