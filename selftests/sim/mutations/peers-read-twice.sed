# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/start.h
# What a rebuild reads of the peers is read for the request as well.
s/struct rr_part part = rr_request_rest(a, r, &p, index);/struct rr_part part = rr_request_part(a, r, p.start, index);/
