# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A part of a row gets what the buffer held, not zeros.
s/->zero == RR_ZERO_PAYLOAD)/->zero > RR_ZERO_ROWS)/
