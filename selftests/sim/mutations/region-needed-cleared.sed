# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/service/bitmap.cpp
# Bits go of regions that a resync still has to do.
/^void array_bitmap::look_for_idle/,/^}/s/ || (seen & RR_REGION_NEEDED) != 0//
