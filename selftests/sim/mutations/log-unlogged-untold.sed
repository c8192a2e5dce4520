# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/log.h
# A write without a log does not wait for a failure to be durable.
s/ || rr_promise(a) != RR_PROMISE_KEPT;/;/
