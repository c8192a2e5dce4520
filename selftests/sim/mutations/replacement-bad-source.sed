# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/job.h
# A block that cannot be read is copied as what lies in the buffer.
/^RR_FN int rr_job_replace/,/^}/s/if (s->bad == RR_NO_ROLE) {/if (1) {/
