#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Exact numbers of requests, all counters on: what is slow here counts the same.
. "${0%/*}/../lib/guest.sh"
members_null 4 "$member_mib"
record_machine
rounds=1
n=2000
[ "$LEVEL" = quick ] || { rounds=2 n=4000; }
read -ra competitors <<<"${*:-raw md md-tuned md-ppl bpf user null linear}"

for ((round = 0; round < rounds; round++)); do
	for c in "${competitors[@]}"; do
		say "round $((round + 1)) of $rounds: $c"
		up "$c"
		counted randread-4k-qd1 randread 4096 1 $n
		counted randread-4k randread 4096 32 $n
		counted randwrite-4k-qd1 randwrite 4096 1 $n
		counted randwrite-4k randwrite 4096 32 $n
		counted randwrite-4k-flush randwrite 4096 32 $n 8
		counted randwrite-64k randwrite 65536 8 $((n / 2))
		counted write-stripe write "$(stripe_bytes)" 8 $((n / 4))
		if degrade; then
			counted degraded-randread-4k randread 4096 32 $n
			counted degraded-randwrite-4k randwrite 4096 32 $n
		fi
		down
	done
done
