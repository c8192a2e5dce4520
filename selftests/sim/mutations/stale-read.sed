# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/start.h
# Direct reads go on after their member is out.
s/if ((rr_load(a->state) >> (role & 15) & 1) || (r->rebuilt >> (role & 15) & 1) ||/if (/
