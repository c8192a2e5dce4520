# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/gather.h
# Writes of blocks that are no neighbours are one operation where rows are logged.
/^RR_FN int rr_log_may_gather/,/^}/s/^		if (units \& ended)$/		if (0)/
