# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/log_writer.cpp
# Shares are counted after they are handed out.
/^void log_writer::written/,/^}/{s/        store(array_->log_open\[role\], static_cast<uint32_t>(l.in_unit.size()));/        (void)0;/
s/^    answer(l.in_unit, error == 0);/    const auto n = static_cast<uint32_t>(l.in_unit.size()); answer(l.in_unit, error == 0); if (!error) store(array_->log_open[role], n);/}
