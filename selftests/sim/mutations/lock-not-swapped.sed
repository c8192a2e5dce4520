# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/lock.h
# A row lock is taken without a look whether somebody took it meanwhile.
s/found = rr_swap_if(l->units, seen, next);/found = seen;\n\t\t\trr_store(l->units, next);/
