#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Disks 4 to 7 become what a power cut would leave of disks 0 to 3.
. "${0%/*}/lib.sh"
read -ra disks < <(disks 4)
copies=(/dev/disk4 /dev/disk5 /dev/disk6 /dev/disk7)

array() {
	wipe "${disks[@]}" "${copies[@]}"
	start t "${disks[@]}" --chunk 64K --assume-clean --clean-after "$1" "${@:2}"
}

rests() { eventually "the array is clean" is_clean; }

# say CLEAN DISK...: the superblocks do.
superblocks_say() {
	local d want=$1
	shift
	for d in "$@"; do
		[ "$(ringraid --json examine "$d" | jq '.devices[0].clean')" = "$want" ] || fail "$d does not say clean: $want"
	done
}

cut() {
	local i
	for i in "$@"; do quietly dd if="/dev/disk$i" of="/dev/disk$((i + 4))" bs=1M iflag=direct oflag=direct status=none; done
}

# as_cut DISK...: the next start of what the power cut left.
as_cut() {
	timeout 100 ringraid assemble "$@" --clean-after 0 >"$tmp/assemble" 2>&1 || [ $? = 1 ] || { cat "$tmp/assemble"; fail "not started"; }
	! grep -q 'recomputing parity' "$tmp/assemble" || fail "parity is recomputed, though nothing was written"
	block=$(st block_device)
}

# Clean when it is idle, dirty before the next write; md and the next start agree.
idle() {
	local engine events
	for engine in bpf user; do
		array 0.3 --engine $engine
		fill
		rests
		superblocks_say true "${disks[@]}"
		events=$(st events)
		cut 0 1 2 3
		cp "$tmp/ref" "$tmp/first"
		write_at 3000 8
		rests
		# Dirty and clean again.
		[ $(($(st events) - events)) -ge 2 ] || fail "the superblocks were not dirty for the write"
		read_all "after a rest"
		stop
		as_cut "${copies[@]}"
		state healthy
		quietly dd if="$block" of="$tmp/got" bs=1M iflag=direct status=none
		same "$tmp/first" "$tmp/got" "after a power cut at rest"
		stop
		judge "${copies[@]}"
		judge "${disks[@]}"
	done
}

# Clients come and go, as if to meet every step between the two, while others read.
now_and_then() {
	local end=$((SECONDS + 120)) wanted
	array 0.02
	fill
	wanted=$(($(st events) + 20))
	fio --name=readers --filename="$block" --direct=1 --rw=randread --bs=64k --rate_iops=50 --time_based --runtime=3000 >"$tmp/fio" 2>&1 &
	until [ "$(st events)" -ge $wanted ]; do
		[ $SECONDS -lt $end ] || fail "no ten rests"
		sleep "0.0$((RANDOM % 9))"
		write_at $((RANDOM % 2000 * 8)) 8
	done
	kill -INT $!
	wait $! || true
	read_all "after many rests"
	no_stream
	stop
	judge "${disks[@]}"
}

# With a member missing a power cut of an idle array is no reason to refuse it.
degraded() {
	array 0.3
	fill
	quietly ringraid fail t 1
	write_at 640 256
	rests
	cut 0 2 3
	stop
	as_cut /dev/disk4 /dev/disk6 /dev/disk7
	state degraded
	read_all "after a power cut at rest, a member missing"
	stop
	# And a member that fails at rest is recorded, clean.
	again "${disks[@]}" --clean-after 0.3 --degraded
	rests
	superblocks_say true /dev/disk0 /dev/disk2 /dev/disk3
	stop
}

# kill -9 wherever it falls: the successor serves, and md finds every row whole.
killed() {
	local i pid
	array 0.1
	fill
	for ((i = 0; i < 8; i++)); do
		sleep "0.$((RANDOM % 10))"
		write_at $((RANDOM % 2000 * 8)) 8 &
		pid=$!
		sleep "0.0$((RANDOM % 10))"
		kill_daemon
		quietly timeout 100 ringraid assemble "${disks[@]}" --clean-after 0.1
		block=$(st block_device)
		wait $pid || fail "a client had an error"
	done
	rests
	read_all "after kill -9 at rest and on the way"
	stop
	judge "${disks[@]}"
}

play idle now_and_then degraded killed
