# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/request.h
# Any answer takes a write off the count, so that reads hide an open write.
s/\(q->writes_open\[r->era & 1\]\) -= r->op == RR_OP_WRITE;/\1 -= \1 != 0;/
