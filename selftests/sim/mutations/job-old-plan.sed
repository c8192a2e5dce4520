# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/job.h
# A job writes what it read before a member failed.
/^RR_FN int rr_job_read_done/,/^}/s/if (rr_state_epoch(rr_load(a->state)) != s->epoch)/if (0)/
