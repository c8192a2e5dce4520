# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/ring/fuse.h
# Of a rebuild's cells the client gets the lost one alone.
/^RR_FN int rr_fuse_deliver(/,/^}/s/rr_for_roles (role, s->data_mask)/rr_for_roles (role, 1U << lost)/
