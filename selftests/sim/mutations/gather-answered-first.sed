# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/gather.h
# A write is answered when another one has taken it along.
s/rr_rider_push(a, q, &s->more, rider);/rr_request_part_done(a, q, rr_rider_leaves(a, q, rider), 0);/
