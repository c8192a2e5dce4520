# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/flush_desk.cpp
# What had completed is noted when somebody asks, and not when the flush starts.
s/if (load(asks->flush_start\[role\]\[i\]) > desks_\[role\].note\[i\])/if (load(asks->flush_start[role][i]) > load(rr_host_queue(array_, i)->written[role]))/
