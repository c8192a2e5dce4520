# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/flush.h
# A flush leaves out what is being rebuilt.
s/if (rr_state_is_out(state, i) || /if ((state >> i \& 1) || /
