# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/flush_desk.cpp
# A flush that is in flight is that of whoever asks.
s/if (d.in_flight && covered(queue, role))/if (d.in_flight)/
