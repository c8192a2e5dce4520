# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/service/bitmap.cpp
# Who comes back lacks what was about to be taken back.
/^void array_bitmap::need_all_set/,/^}/s/^        change(region, 0, RR_REGION_SET);/        (void)region;/
