#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# guest.sh counted|timed SOURCES SIZES REPEATS: XOR by itself, and when it is
# counted the requests that it is for as well, without the function and with it.
. "${0%/*}/../lib/guest.sh"
how=$1
shift
n=1024

# Windows are numbered from the boot on: these are the first.
xor_alone() {
	quietly insmod /bench/uring_bpf_xor.ko
	"$tools/xor_bench" "$tools/xor.bpf.o" "$how" "$@" >/out/xor.jsonl || fail "xor_bench $how"
	remove_module uring_bpf_xor
	windows=$(wc -l </out/xor.jsonl)
}

requests() {
	instructions randwrite-4k randwrite 4096 32 $n
	instructions write-stripe write "$(stripe_bytes)" 8 $((n / 4))
}

if [ "$how" = timed ]; then
	xor_alone "$@"
	exit
fi
echo 1 >/proc/sys/net/core/bpf_jit_kallsyms
members_null 4 "$member_mib"
record_machine
xor_alone "$@"
for c in bpf bpf-xor bpf bpf-xor; do
	say "requests: $c"
	up "$c"
	requests
	down
done
cat /proc/kallsyms >/out/kallsyms
