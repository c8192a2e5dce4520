# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/service/bitmap.cpp
# Only the queues' eras are waited for, not their writes.
/^bool array_bitmap::old_era_is_over/,/^}/s/ || load(q->writes_open\[(era - 1) & 1\]) != 0//
