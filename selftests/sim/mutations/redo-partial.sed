# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/redo.cpp
# A successor writes data again, but not parity.
s/if (!(s->write_mask >> role & 1) || out(a, role))/if (!(s->write_mask >> role \& 1) || out(a, role) || role == s->parity)/
