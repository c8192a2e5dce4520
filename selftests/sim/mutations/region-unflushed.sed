# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/service/bitmap.cpp
# Bits go while rows are in the members' caches.
/^void array_bitmap::clear_idle/,/^}/s/    how_.flush();//
