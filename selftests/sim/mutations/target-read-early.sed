# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/member.h
# What is being rebuilt is read as soon as its cell is begun.
/^RR_STEP int rr_role_out/,/^}/s/rr_job_has_to(a, cell)/(cell >= rr_load(a->job.next))/
/^RR_STEP rr_u32 rr_missing_at/,/^}/s/rr_job_has_to(a, cell)/(cell >= rr_load(a->job.next))/
