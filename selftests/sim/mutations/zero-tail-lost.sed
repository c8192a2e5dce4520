# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/zero.h
# A request of several stripes ends with its first one.
s/if (!q->zero_cells && r->sector + r->sectors <= .*/if (!q->zero_cells)/
