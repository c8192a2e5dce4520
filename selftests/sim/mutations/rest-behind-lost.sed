# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/request.h
# Of a peer that reaches beyond a rebuilt chunk, the rest is not read.
s/part.from = rebuilt.to;/part.to = 0;/
