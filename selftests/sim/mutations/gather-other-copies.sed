# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/gather.h
# Requests with and without registered pages become one fused operation.
s/(q->fused && ((r->flags/(0 \&\& ((r->flags/
