# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/engine.h
# A request that crosses a stripe is begun.
s/rr_u64 most = rr_stripe_rest(a, r->sector);/rr_u64 most = a->array_sectors - r->sector;/
