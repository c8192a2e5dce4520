# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/borrow.h
# Units that the holder does not keep are copied, too.
s/has = rr_load(o->kept\[role\]) & units;/has = units;/
