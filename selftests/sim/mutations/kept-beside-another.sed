# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/kept.h
# Units that another write had while this one went on are kept.
/^RR_FN int rr_kept_release/,/^}/s/if (before != s->generation \&\& s->keeps == RR_KEEPS) {/if (0) {/
