# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/redo.cpp
# A successor forgets what the next flush had to cover.
s/if (const int err = io.flush(role))/if (const int err = 0)/
