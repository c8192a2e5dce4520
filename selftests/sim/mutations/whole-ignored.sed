# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A command that did all of its I/O is taken for one that moved too many bytes.
s/if (res == RR_RESULT_WHOLE)/if (0)/
