# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/borrow.h
# What the slot kept of another cell counts beside what it borrows.
/if (s->keeps == RR_KEEPS_NOTHING)/,/rr_kept_forget/d
