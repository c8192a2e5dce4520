# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/log_writer.cpp
# Nothing ends a unit: what an older one has left behind it is found.
s/^    if (quiet)$/    if (true)/
