# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/gather.h
# A block that is written twice is gathered where rows are logged and the host fuses.
/^RR_FN int rr_log_may_gather/,/^}/s/ || (q->fused && (units & more)) ||/ ||/
