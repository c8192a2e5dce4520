# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/redo.cpp
# A successor writes what buffers hold for rows of zeros.
s/s->zero == RR_ZERO_ROWS$/false/
