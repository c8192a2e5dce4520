# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/log_writer.cpp
# Its writer does not look once more before it sleeps.
/^bool log_writer::may_sleep/,/^}/s/return !more;/return true;/
