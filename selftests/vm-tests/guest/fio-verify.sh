#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Random mixes under fio's verification, then md's word on the parity.
. "${0%/*}/lib.sh"

# run ENGINE QUEUES DEPTH CHUNK MEMBERS SIZE
run() {
	local members
	read -ra members < <(disks "$5")
	wipe "${members[@]}"
	start t "${members[@]}" --engine "$1" --queues "$2" --depth "$3" --chunk "$4" --assume-clean
	queues "$2"
	[ "$(st engine)" = "$1" ] || fail "the engine is $(st engine)"
	# Regions of their own, so that no job overwrites what another verifies.
	load mix --rw=randrw --bssplit=$mix --iodepth="$3" --numjobs=2 --size="$6" --offset_increment="$6" \
		--verify_backlog=64 --norandommap=0
	load small --rw=randwrite --bs=4k --iodepth="$3" --numjobs=2 --size=4m --offset=8m --offset_increment=4m
	load sequential --rw=write --bs=1m --iodepth=4 --size=16m --offset=4m
	state healthy
	no_stream
	stop
	judge "${members[@]}"
	say "$1 engine, $2 queues of $3, $4 chunks, $5 members: every byte and the parity are right"
}

# crowd ENGINE QUEUES CHUNK: writes that meet at the same cells, 256 at a time from each job.
# Jobs whose blocks lie between each other's are verified; of those that overlap, and that
# write the same block, md judges what they leave.
crowd() {
	local members job between=()
	read -ra members < <(disks 5)
	wipe "${members[@]}"
	start t "${members[@]}" --engine "$1" --queues "$2" --depth 256 --chunk "$3" --assume-clean
	for job in 0 1 2 3; do between+=(--name="between$job" --offset=$((job * 4))k); done
	quietly fio --filename="$block" --direct=1 --ioengine=libaio --iodepth=256 --rw=write:12k --bs=4k \
		--size=3m --verify=crc32c --verify_fatal=1 --do_verify=1 "${between[@]}"
	quietly fio --filename="$block" --direct=1 --ioengine=libaio --iodepth=256 --rw=randwrite --numjobs=2 \
		--name=overlapping --bssplit=512/30:1536/20:4k/30:20k/20 --offset=16m --size=256k --io_size=8m \
		--name=hot --new_group --bs=4k --offset=20m --size=4k --io_size=4m
	[ "$(ringraid --json stats | jq .gathered_writes)" -gt 0 ] || fail "no write was gathered"
	state healthy
	stop
	judge "${members[@]}"
	say "$1 engine, $2 queues, $3 chunks: writes that met at their cells are right, and so is the parity"
}

if [ "$CASES" = crowd ]; then
	crowd bpf 2 512K
	exit
fi
#   engine queues depth chunk members size
run bpf 2 32 64K 4 24m
run user 2 32 64K 4 24m
run bpf 4 8 4K 5 16m
run bpf 1 1 512K 3 12m
run user 4 64 512K 5 16m
crowd bpf 2 512K
crowd user 4 4K
if is_full; then
	for engine in bpf user; do
		for queues in 1 2 4; do
			for depth in 1 16 128; do
				for chunk in 4K 32K 1M; do run $engine $queues $depth $chunk 4 32m; done
			done
		done
	done
fi
