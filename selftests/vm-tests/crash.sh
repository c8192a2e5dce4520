#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The machine dies while it writes. On the same disks the next boot recomputes
# parity before service (or refuses, when a member is missing), and everything
# that was said to be durable is there.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"

# round ENGINE HEALTH KIND
round() {
	local disks=() i rc=0 last ms=$((2000 + RANDOM % 2000))
	for i in 0 1 2 3; do
		rm -f "$dir/disk$i"
		truncate -s 48M "$dir/disk$i"
		disks+=(--disk "nvme:$dir/disk$i")
	done
	guest crash-write "${disks[@]}" -- "$1" "$2" "$3" $ms >"$dir/log" 2>&1 || rc=$?
	last=$(sed -n 's/^durable \([0-9]*\)$/\1/p' "$dir/log" | tail -n1)
	if [ $rc != 126 ] || [ -z "$last" ]; then
		tail -n 40 "$dir/log"
		fail "the machine did not die while it wrote (exit code $rc, last marker ${last:-none})"
	fi
	echo "died after $ms ms with $((last + 1)) markers durable"
	guest crash-check "${disks[@]}" -- "$1" "$2" "$3" "$last"
}

round bpf healthy raw
round bpf healthy ext4
round user healthy raw
round bpf degraded raw
if is_full; then
	for ((n = 0; n < 10; n++)); do
		for engine in bpf user; do
			round $engine healthy raw
			round $engine healthy ext4
			round $engine degraded raw
		done
	done
fi
