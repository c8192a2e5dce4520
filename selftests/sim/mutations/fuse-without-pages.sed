# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/slot.h
# Requests whose pages ublk could not register are fused, too.
s/return q->fused && .*/return q->fused;/
