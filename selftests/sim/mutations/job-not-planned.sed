# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/job.h
# A job does not look whether a member was lost before it began a cell.
/^RR_FN int rr_job_plan/,/^}/s/rebuild != (missing != RR_NO_ROLE)/0/
