# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/region.h
# A write goes when its region is asked for.
/^RR_FN int rr_region_holds/,/^}/s/& RR_REGION_TOUCHED)/\& (RR_REGION_TOUCHED | RR_REGION_ASKED))/
