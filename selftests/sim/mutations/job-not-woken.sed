# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/job.h
# A job that found no slot is not told when one comes free.
/^RR_FN int rr_job_go_on/,/^}/s/q->job_look = RR_JOB_LOOK_FIRST;/q->job_look = 0;/
