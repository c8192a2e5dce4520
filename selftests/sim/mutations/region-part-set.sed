# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/service/bitmap.cpp
# A region that may be written has only some of its bits.
/^void array_bitmap::begin/,/^}/s/            image_.set(from, to);/            ;/
