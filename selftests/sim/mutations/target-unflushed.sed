# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/flush.h
# A flush leaves out what is being rebuilt.
s/((state >> i & 1) && !(state & RR_STATE_REBUILD))/(state >> i \& 1)/
