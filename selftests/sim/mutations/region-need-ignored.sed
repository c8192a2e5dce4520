# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/member.h
# A member that comes back is believed where it has to be rebuilt.
/^RR_STEP int rr_job_has_to/,/^}/s/(!rr_load(a->job.by_region) ||/(!rr_load(a->job.by_region) \&\&/
