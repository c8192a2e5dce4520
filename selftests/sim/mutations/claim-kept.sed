# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# file: bpf/engine/lock.h
# Who gets the lock that it has claimed keeps the claim.
s/return (word & 0xffff) | mask;/return word | mask;/
