# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/log_writer.cpp
# A unit may end where the area ends.
s/^constexpr uint64_t tail_sectors = 16;/constexpr uint64_t tail_sectors = 0;/
