# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/flush.h
# A flush that comes later shares the round that is in flight.
s/rr_request_push(a, q, &q->flush_next, tag);/rr_request_push(a, q, q->flushing ? \&q->flush_now : \&q->flush_next, tag);/
