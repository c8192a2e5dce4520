# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/job.h
# A cell counts as done when it is begun.
/^RR_FN int rr_job_begin/,/^}/s/	a->job.in_work++;/&\n	a->job.done |= 1ULL << ((cell - a->job.frontier) \& (RR_JOB_WINDOW - 1));/
