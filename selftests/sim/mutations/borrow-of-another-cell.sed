# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/borrow.h
# The holder has another cell by now.
s/if (rr_load(o->cell) != s->cell || /if (/
