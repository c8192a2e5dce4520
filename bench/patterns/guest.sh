#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The requests that people make, on the arrays that they have: counts only.
. "${0%/*}/../lib/guest.sh"
# For writes all over the array there are far more rows than they touch: md would find
# those again in its cache.
member_mib=128
members_disks 8 $member_mib
nvme=("${members[@]}")
members=()
members_null 8 $member_mib
null=("${members[@]}")
members=("${nvme[@]}" "${null[@]}")
record_machine
n=512
[ "$LEVEL" = quick ] || n=2048

# pattern WORKLOAD KIND BYTES DEPTH REQUESTS FROM-MIB SPAN-MIB [FLUSH-EVERY]: each in a place
# of its own, or one would find in a cache what another has left there, and from the
# beginning of a stripe on.
pattern() {
	local name=$1 made stripe from
	stripe=$(stripe_bytes)
	from=$(((($6 << 20) + stripe - 1) / stripe * stripe))
	record "$name" bytes "$3" kind "\"$kind\"" members "$count" chunk "$chunk_kib"
	snapshot before
	made=$("$tools/bench_load" "$block" "$2" "$3" "$4" 0 "$5" $(($7 << 20)) $since "${8:-0}" $from small)
	snapshot after
	echo "$made" >"$run/requests"
}

# cached MIB: through the page cache, a request being 1 MiB of it.
cached() {
	record cached-write bytes $((1 << 20)) kind "\"$kind\"" members "$count" chunk "$chunk_kib"
	snapshot before
	quietly dd if=/dev/zero of="$block" bs=1M count="$1" conv=fsync
	snapshot after
	echo "$1" >"$run/requests"
}

# merges 0|2: with 2 the block layer leaves requests as they are.
merges() { echo "$1" >"/sys/block/${block#/dev/}/queue/nomerges"; }

patterns() {
	local stripe
	stripe=$(stripe_bytes)
	cached 32
	pattern write-stripe write "$stripe" 1 8 36 28
	pattern seq-4k-qd32 write 4096 32 $n 64 8
	pattern seq-4k-qd1 write 4096 1 $n 72 8
	pattern seq-64k-qd8 write 65536 8 $((n / 8)) 80 16
	pattern hot-4k-qd32 randwrite 4096 32 $n 96 1
	pattern hot-4k-qd1 randwrite 4096 1 $n 98 1
	pattern seq-4k-fsync write 4096 1 $n 100 8 2
	merges 2
	pattern stripe-of-4k write 4096 64 $((stripe / 4096)) 108 4
	merges 0
	pattern rand-4k-qd32 randwrite 4096 32 $((n / 2)) 150 224
	# Over it, as too few blocks of it are in a cache to matter.
	pattern seq-1m-qd4 write $((1 << 20)) 4 32 184 32
	pattern seq-256k-qd16 write $((256 << 10)) 16 128 216 32
}

degraded_patterns() {
	pattern degraded-seq-read read $((256 << 10)) 4 64 116 16
	pattern degraded-read-stripe read "$(stripe_bytes)" 1 4 134 16
}

# on KIND MEMBERS CHUNK-KIB COMPETITOR...
on() {
	local -n all_of=$1
	kind=$1 count=$2 chunk_kib=$3
	members=("${all_of[@]:0:$2}")
	say "$1, $2 members, chunks of $3 KiB"
	interleave 1 patterns "${@:4}"
}

[ $# -gt 0 ] || set -- md-ppl bpf-ppl md-tuned bpf
on nvme 5 512 "$@"
on nvme 4 64 "$@"
if [ "$LEVEL" != quick ]; then
	on null 5 512 "$@"
	on null 4 64 "$@"
	on nvme 8 512 "$@"
	on null 8 64 "$@"
fi
