# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/engine.h
# A request that crosses a stripe is begun.
s/r->sectors > rr_stripe_rest(a, r->sector))/r->sectors > a->array_sectors - r->sector)/
