#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The machine dies while it writes. On the same disks the next boot makes parity right from
# the log that an array has by default; without one it recomputes what the bitmap names (or
# refuses, when a member is missing). Everything that was said to be durable is there.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"

# round ENGINE HEALTH KIND POLICY
round() {
	local disks=() i rc=0 last ms=$((2000 + RANDOM % 2000))
	for i in 0 1 2 3; do
		rm -f "$dir/disk$i"
		truncate -s 48M "$dir/disk$i"
		disks+=(--disk "nvme:$dir/disk$i")
	done
	guest crash-write "${disks[@]}" -- "$1" "$2" "$3" "$4" $ms >"$dir/log" 2>&1 || rc=$?
	last=$(sed -n 's/^durable \([0-9]*\)$/\1/p' "$dir/log" | tail -n1)
	if [ $rc != 126 ] || [ -z "$last" ]; then
		tail -n 40 "$dir/log"
		fail "the machine did not die while it wrote (exit code $rc, last marker ${last:-none})"
	fi
	echo "died after $ms ms with $((last + 1)) markers durable"
	guest crash-check "${disks[@]}" -- "$1" "$2" "$3" "$4" "$last"
}

round bpf healthy raw default
round bpf healthy ext4 bitmap
round user healthy raw bitmap
round bpf degraded raw bitmap
round user degraded raw default
if is_full; then
	for ((n = 0; n < 10; n++)); do
		for engine in bpf user; do
			for policy in default bitmap; do
				round $engine healthy raw $policy
				round $engine healthy ext4 $policy
				round $engine degraded raw $policy
			done
		done
	done
fi
