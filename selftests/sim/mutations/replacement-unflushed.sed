# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/flush.h
# A flush does not cover the replacement.
s/a->geometry.members + !!(state \& RR_STATE_REPLACE)/a->geometry.members/
