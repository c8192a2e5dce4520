# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/gather.h
# A ticket is free when its cell is taken along, and not when that is done.
/^RR_FN int rr_slot_take_along/,/^}/s/rr_rider_push(a, q, &s->more, rider);/rr_rider_push(a, q, \&s->more, rider), rider >= RR_TICKET ? rr_free_push(a, q, rider - RR_TICKET) : (void)0;/
