# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/log_writer.cpp
# A unit's place is used again while its rows are being written.
s/return !l.writing \&\& !l.waiting.empty() \&\& load(array_->log_open\[role\]) == 0 \&\&/return !l.writing \&\& !l.waiting.empty() \&\&/
