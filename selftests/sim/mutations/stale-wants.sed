# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/start.h
# A tag still wants what its failed request before had left.
/if (!(r->wanted_roles >> role & 1))/,+1d
