# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/borrow.h
# The holder is taken for something else while it is copied.
s/if (rr_load_fenced(o->life) != life) {/if (0) {/
