# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/member.h
# An error is a failure before anybody was asked.
s/if (res > 0 || !a->judged ||/if (res <= 0 || !a->judged ||/
