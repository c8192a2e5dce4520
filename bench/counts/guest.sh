#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Exact numbers of requests, all counters on: what is slow here counts the same.
. "${0%/*}/../lib/guest.sh"
members_null 4 "$member_mib"
record_machine
rounds=1
n=2000
[ "$LEVEL" = quick ] || { rounds=2 n=4000; }

all() {
	counted randread-4k-qd1 randread 4096 1 $n
	counted randread-4k randread 4096 32 $n
	counted randwrite-4k-qd1 randwrite 4096 1 $n
	counted randwrite-4k randwrite 4096 32 $n
	counted randwrite-4k-flush randwrite 4096 32 $n 8
	counted randwrite-64k randwrite 65536 8 $((n / 2))
	counted write-stripe write "$(stripe_bytes)" 8 $((n / 4))
}

degraded_all() {
	counted degraded-randread-4k randread 4096 32 $n
	counted degraded-randwrite-4k randwrite 4096 32 $n
}

interleave $rounds all "$@"
