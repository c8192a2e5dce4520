# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A cell that ends takes the frontier past those before it that have not.
/^RR_FN int rr_job_cell_done/,/^}/s/if (!(done & 1))/if (!done)/
