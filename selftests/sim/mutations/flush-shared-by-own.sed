# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: loader/engine/flush_desk.cpp
# A flush in flight is shared by whose own writes it covers, whatever the other queues'.
s/for (uint32_t i = 0; i < array_->queues; i++) {/for (uint32_t i = queue; i == queue; i++) {/
