# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/redo.cpp
# A successor leaves out what is being rebuilt.
/^bool out(/,/^}/s/ && (a->state & RR_STATE_REBUILD) == 0//
