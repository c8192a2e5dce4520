# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/kept.h
# A read believes what it keeps, whoever has written it meanwhile.
/^RR_FN int rr_kept_locked/,/^}/s/if (rr_load(l->holder\[unit\]) != who)/if (s->op == RR_OP_WRITE \&\& rr_load(l->holder[unit]) != who)/
