# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/start.h
# Who looks for a cell finds its ticket, and waits behind one that waits.
/^RR_FN int rr_write_follows_there/,/^}/s/rr_store(t->cell, ~0ULL);/t->cell = rr_slot_at(a, q, before)->cell; q->kept_at[rr_kept_place(t->cell)] = ticket;/
