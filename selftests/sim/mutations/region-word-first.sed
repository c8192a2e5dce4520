# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/service/bitmap.cpp
# A region may be written before its bits are on the members.
/^void array_bitmap::grant/,/^}/s/        found.push_back(region);/&\n        change(region, RR_REGION_ASKED, RR_REGION_SET | RR_REGION_TOUCHED);/
