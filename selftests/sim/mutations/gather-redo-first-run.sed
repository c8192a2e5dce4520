# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/redo.cpp
# Of several runs of units a successor writes the first alone.
s/units &= ~(((1U << count) - 1) << first);/units = 0;/
