# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/redo.cpp
# A successor does not flush what is being rebuilt.
s/if (!out(a, role) \&\& !hopeless())/if (!(a->state >> role \& 1))/
