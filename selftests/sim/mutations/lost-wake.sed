# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# Other queues are not woken when a row lock comes free.
s/q->wake_mask |= wake & ~(1U << q->id);/q->wake_mask |= 0 \& wake;/
