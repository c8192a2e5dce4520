# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/redo.cpp
# A successor leaves out what is being rebuilt.
s/? rr_state_is_out(a->state, role) != 0/? (a->state >> role \& 1) != 0/
