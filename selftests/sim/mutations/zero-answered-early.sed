# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/zero.h
# A request is answered when its cells have begun.
/^RR_FN int rr_zero_waiters/,/^}/s/if (!r->pending)/r->pending = 0;/
