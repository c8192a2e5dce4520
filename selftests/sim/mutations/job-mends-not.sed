# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/job.h
# A job leaves the block that it could not read as it is.
/^RR_FN int rr_job_read_done/,/^}/s/return rr_job_mend(a, q, slot, s->bad);/return rr_slot_finish(a, q, slot, 0);/
