# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A tie goes to read-modify-write: not md's rule.
s/} else if (rmw < rcw) {/} else if (rmw <= rcw \&\& rmw < 64) {/
