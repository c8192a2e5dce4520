# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# A write that the replacement does not take is an error of the request.
s/ \&\& role < a->geometry.members \&\&$/ \&\&/
