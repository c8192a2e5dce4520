# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/job.h
# A wrong row is noted as the first of its cell.
/^RR_FN int rr_job_note/,/^}/s/= first + i;/= first;/
