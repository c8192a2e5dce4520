# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/redo.cpp
# A successor flushes what is being rebuilt, and does not write its rows again.
s/|| out(a, role))/|| (a->state >> role \& 1))/
