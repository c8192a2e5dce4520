# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/redo.cpp
# A successor forgets that a member is out.
s/^    for (rr_member& m : a->members)$/    a->state \&= ~RR_STATE_MISSING;\n&/
