# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/kept.h
# A slot is used for something else without a word.
s/(void)rr_fetch_add(s->life, 1U);//
