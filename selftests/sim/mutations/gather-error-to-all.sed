# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/gather.h
# The copy of one that fails is an error of all.
s/if (again && !its_error)/if (0)/
