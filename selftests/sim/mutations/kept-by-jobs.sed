# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# The write of a job advances no generation.
s/rr_u32 wrote = s->phase == RR_PHASE_WRITE || /rr_u32 wrote = (s->op != RR_OP_JOB \&\& s->phase == RR_PHASE_WRITE) || /
