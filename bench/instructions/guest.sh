#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# One CPU, memory-backed members, an exact number of requests in each window.
. "${0%/*}/../lib/guest.sh"
echo 1 >/proc/sys/net/core/bpf_jit_kallsyms
members_null 4 "$member_mib"
record_machine
n=1024 # copies are emulated byte by byte: more would take hours, and agree no better

all() {
	instructions randread-4k randread 4096 32 $n
	instructions randwrite-4k randwrite 4096 32 $n
	instructions write-stripe write "$(stripe_bytes)" 8 $((n / 4))
	if [ "$LEVEL" != quick ]; then
		instructions randread-4k-qd1 randread 4096 1 $n
		instructions randwrite-4k-qd1 randwrite 4096 1 $n
		instructions randread-64k randread 65536 8 $((n / 4))
		instructions randwrite-64k randwrite 65536 8 $((n / 4))
	fi
}

degraded_all() {
	instructions degraded-randread-4k randread 4096 32 $n
	instructions degraded-randwrite-4k randwrite 4096 32 $n
}

interleave 2 all "$@"
cat /proc/kallsyms >/out/kallsyms
