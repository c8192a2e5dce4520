# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# FUA does not reach parity.
s/act = s->fua ? RR_ACT_WRITE_FUA : RR_ACT_WRITE;/act = s->fua \&\& r != s->parity ? RR_ACT_WRITE_FUA : RR_ACT_WRITE;/
