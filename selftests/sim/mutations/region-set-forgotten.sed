# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/service/bitmap.cpp
# Who comes back lacks what was set, and only gets what is asked for.
/^void array_bitmap::need_all_set/,/^}/s/(RR_REGION_SET | RR_REGION_ASKED)/RR_REGION_ASKED/
