# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/service/bitmap.cpp
# A successor does not know what is set.
/^void array_bitmap::adopt/,/^}/s/if (image_.any(from, to) || (load(word(region)) & RR_REGION_SET) != 0)/if (image_.any(from, to))/
/^void array_bitmap::adopt/,/^}/s/change(region, 0, RR_REGION_SET);/change(region, RR_REGION_SET, 0);/
