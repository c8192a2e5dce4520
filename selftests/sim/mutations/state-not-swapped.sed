# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/member.h
# Two failures at once: the later one overwrites the other.
s/found = rr_swap_if(a->state, seen, next);/found = seen;\n\t\trr_store(a->state, next);/
