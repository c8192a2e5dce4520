# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# Rows of a unit count as durable when they are in a cache.
s/return (s->log & RR_LOG_SHARE) && (a->log_fua >> role & 1);/return 0;/
