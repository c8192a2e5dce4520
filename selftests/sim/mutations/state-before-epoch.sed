# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/member.h
# The state is looked at before the epoch that is durable: it may be older.
s/rr_u32 durable = rr_load(a->durable_epoch);/rr_u64 state = rr_load(a->state);\n\trr_u32 durable = rr_load(a->durable_epoch);/
/rr_u64 state = durable ? /d
