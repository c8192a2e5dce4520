# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/service/bitmap.cpp
# A region counts as done when its job has come to it.
/^void array_bitmap::done_up_to/,/^}/s/cell_of(region + 1) <= cell/cell_of(region) <= cell/
