# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/gather.h
# A write is answered when another one has taken it along.
s/rr_request_push(a, q, &s->more, tag);/rr_request_part_done(a, q, tag, 0);/
