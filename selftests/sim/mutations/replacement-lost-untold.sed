# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/member.h
# Its loss moves no epoch: writes that it missed are acknowledged at once.
/^RR_STEP rr_u64 rr_state_after_loss/,/^}/s/(state \& ~RR_STATE_REPLACE) + (1ULL << RR_STATE_EPOCH_SHIFT)/(state \& ~RR_STATE_REPLACE)/
