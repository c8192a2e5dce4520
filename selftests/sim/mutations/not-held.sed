# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/member.h
# Answers are not held until a failure is durable.
s/return rr_state_epoch(state) == durable ? RR_PROMISE_KEPT : RR_PROMISE_HELD;/return RR_PROMISE_KEPT;/
