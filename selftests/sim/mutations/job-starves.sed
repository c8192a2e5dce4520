# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/engine.h
# A job that found no slot waits until no request does.
/^RR_FN int rr_settle_slowly/,/^}/s/if (q->job_look == RR_JOB_LOOK_FIRST)/if (0)/
