# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# FUA does not reach parity.
s/act = s->fua || /act = (s->fua \&\& r != s->parity) || /
