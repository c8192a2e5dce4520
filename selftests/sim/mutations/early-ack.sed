# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A write is answered when all member writes but one are done.
s/s->pending = rr_count_bits(roles);/s->pending = rr_count_bits(roles) - (phase == RR_PHASE_WRITE \&\& rr_count_bits(roles) > 1);/
