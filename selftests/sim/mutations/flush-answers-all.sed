# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/flush_desk.cpp
# The end of a flush answers those that wait for the next, too.
s/return std::exchange(d.served, 0);/return std::exchange(d.served, 0) | std::exchange(d.waiting, 0);/
