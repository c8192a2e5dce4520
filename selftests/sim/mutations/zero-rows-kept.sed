# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# What buffers hold is kept after members made zeros of their own.
s/RR_PHASE_COPY_OUT) &&$/RR_PHASE_COPY_OUT))/
/^	    s->zero != RR_ZERO_ROWS)$/d
