# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/ring/fuse.h
# Payload that is a part of the hull is taken for all of it.
s/parts &= rr_slot_partial(a, s);/parts = 0;/
