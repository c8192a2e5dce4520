#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# One CPU. Members that take no time, for instructions; others that do, for latency.
. "${0%/*}/../lib/guest.sh"
chunk_kib=512 # both sides' default
member_mib=24 # filling them takes long; so few requests find little in a cache all the same
members_null 4 "$member_mib"
prompt=("${members[@]}")
members=()
members_null 4 "$member_mib" 100000 4
late=("${members[@]}")
members=("${prompt[@]}" "${late[@]}")
record_machine

# counted_writes WORKLOAD KIND BYTES DEPTH REQUESTS WARMUP
counted_writes() {
	record "$1" bytes "$3" depth "$4" requests "$5" window "$windows" late false
	windows=$((windows + 1))
	snapshot before
	made=$("$tools/bench_load" "$block" "$2" "$3" "$4" "$6" "$5" "$span" $since)
	snapshot after
	echo "$made" >"$run/requests"
}
late_writes() {
	record "$1" bytes "$3" depth "$4" requests "$5" window "$windows" late true
	windows=$((windows + 1))
	snapshot before
	made=$("$tools/bench_load" "$block" "$2" "$3" "$4" "$6" "$5" "$span" $since 0 0 any "$run/times")
	snapshot after
	echo "$made" >"$run/requests"
}

depths=(1 8 32 64) n=512
[ "$LEVEL" != quick ] || depths=(1 32) n=256
# each VERB: all workloads. Copies are emulated byte by byte: of large ones there are few.
each() {
	local d
	for d in "${depths[@]}"; do
		"$1" randwrite-4k randwrite 4096 "$d" $n "$d"
		"$1" write-64k write 65536 "$d" $((d > 32 ? 2 * d : 64)) 2
		"$1" write-stripe write "$(stripe_bytes)" "$d" $((d > 8 ? d : 8)) 1
	done
}

competitors=("$@")
[ $# -ne 0 ] || competitors=(md-tuned md-bitmap md-ppl bpf-resync bpf-bitmap bpf-ppl)
for c in "${competitors[@]}"; do
	say "$c"
	members=("${prompt[@]}")
	up "$c"
	each counted_writes
	down
	members=("${late[@]}")
	up "$c"
	each late_writes
	down
done
