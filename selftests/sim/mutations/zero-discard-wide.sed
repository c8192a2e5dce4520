# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/zero.h
# A discard clears the stripe that it begins in.
s/(r->sector + full - 1) \/ full;/r->sector \/ full;/
