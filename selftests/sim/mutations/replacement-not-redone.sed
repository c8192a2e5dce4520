# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/redo.cpp
# The redo of a row leaves the replacement out.
s/if (!(s->write_mask >> role \& 1) || out(a, role))/if (role >= a->geometry.members || !(s->write_mask >> role \& 1) || out(a, role))/
