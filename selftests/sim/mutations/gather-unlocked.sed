# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/gather.h
# What is taken along is not locked.
s/^	extra = /	extra = 0 \& /
