# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/ring/fuse.h
# Payload that is a part of the hull is taken for all of it.
s/rr_u32 parts = s->data_mask & rr_slot_partial(a, s);/rr_u32 parts = 0;/
