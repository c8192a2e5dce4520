# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/job.h
# A resync computes data that cannot be read from a parity that means nothing.
/^RR_FN int rr_job_read_done/,/^}/s/if (kind == RR_JOB_RESYNC && s->bad != s->parity)/if (0)/
