# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/lock.h
# Who waits for a row lock does not look again after it can be seen to wait.
s/seen = rr_load_fenced(l->units);/return 0;/
