# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/redo.cpp
# A successor does not write the rows again.
s/s->phase == RR_PHASE_WRITE)/s->phase == RR_PHASE_REPAIR)/
