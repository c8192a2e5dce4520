# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/flush.h
# A flush counts for writes that completed after it started.
s/start = q->flush_start\[r\]\[i\];/start = rr_load(rr_queue_at(a, i < (rr_s32)a->queues ? i : 0)->written[r]);/
