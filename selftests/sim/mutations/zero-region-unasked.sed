# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/zero.h
# A request goes on into a region that is not set.
s/if (a->regions_on && !rr_region_ask/if (a->regions_on \&\& !q->zero_begun \&\& !rr_region_ask/
