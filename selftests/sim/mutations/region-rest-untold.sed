# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/region.h
# The control plane is not told of a region that a write waits for.
/^RR_STEP void rr_region_tell/,/^}/s/	q->notify = 1;//
