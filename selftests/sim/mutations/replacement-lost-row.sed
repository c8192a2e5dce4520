# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/job.h
# A cell of which two blocks cannot be read counts as copied.
/^RR_STEP int rr_job_unreadable/,/^}/s/kind == RR_JOB_CHECK || /kind == RR_JOB_CHECK || kind == RR_JOB_REPLACE || /
