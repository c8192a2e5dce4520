#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Applications of chained reads (selftests/chain/chain_load.cpp) and the library's own
# tests, with their loop in the kernel: disks 0 to 2 are an array, disk 3 is alone.
. "${0%/*}/lib.sh"
read -ra members < <(disks 3)
mnt=$tmp/mnt
mkdir "$mnt"
pairs=3000 more=1 # five hops
! is_full || { pairs=30000 more=10; } # six

application() { quietly timeout -s KILL 120 /test/chain_load "$@"; }

# unit DIR FILTER: the library's tests there.
unit() {
	quietly env RINGRAID_LEVEL="$level" /test/chain_tests --kernel --dir "$1" --seed "$seed" --gtest_brief=1 \
		--gtest_filter="$2"
}

# What there is in the kernel of programs, maps and links, what is pinned, files that are
# no test's, and workers of rings.
left_over() {
	local kind
	for kind in prog map link; do bpftool -j $kind show | jq -c '.[] | [.type, .name, .id]'; done
	find /sys/fs/bpf /dev/shm "$tmp" | grep -v "^$tmp/\(count\|log\)" | sort
	# The daemon's own come and go.
	cat /proc/[0-9]*/task/[0-9]*/comm 2>/dev/null | sed -n '/^iou-/p' | sort |
		{ grep -vxFf <(cd "/proc/$(st pid)/task" && printf 'iou-wrk-%s\n' *) || true; }
}

# end_of PID: by kill -9, without bash's word of it.
end_of() {
	kill -9 "$@"
	{ wait "$@" || true; } 2>/dev/null
}

# The rings of who was killed let go of a file when a worker of the kernel comes to it.
stop() { eventually "nobody holds the device" ringraid stop >"$tmp/log" 2>&1; }
let_go() { eventually "nobody holds a file" umount "$mnt" 2>"$tmp/log"; }

did() { [ "$(cat "$1" 2>/dev/null || echo 0)" -ge "$2" ]; }

# churn FILE: a writer and a reader, while a member fails.
churn() {
	local app file=$1
	[ -b "$file" ] || truncate -s 72K "$file"
	rm -f "$tmp/count"
	/test/chain_load churn "$file" 0 "$tmp/count" >"$tmp/churn" 2>&1 &
	app=$!
	eventually "a round" did "$tmp/count" 4
	quietly ringraid fail t "${members[1]}"
	state degraded
	eventually "rounds without a member" did "$tmp/count" $(($(cat "$tmp/count") + 6 * more))
	kill -0 "$app" || { cat "$tmp/churn"; fail "the application ended by itself"; }
	end_of "$app"
	[ ! -s "$tmp/churn" ] || { cat "$tmp/churn"; fail "the application complains"; }
}

# A fresh array, healthy.
array() {
	wipe "${members[@]}"
	start t "${members[@]}" --chunk 64K --assume-clean
}

# on_file_system FS FILTER
on_file_system() {
	array
	quietly mkfs."$1" -q "$block"
	mount "$block" "$mnt"
	unit "$mnt" "$2"
	application make "$mnt/tree" $pairs
	churn "$mnt/churn"
	application run "$mnt/tree" $pairs $((10 * more))
	unit "$mnt" 'Files.ATruncated*:Files.AReplaced*'
	let_go
	no_stream
	stop
}

# Each test loads its program, which emulated takes a second.
on_ext4() { on_file_system ext4 "$(either 'Loop.Many*:Limits.Signals*' 'Files.*:Loop.*:Limits.*:Hostile.*')"; }
on_xfs() { on_file_system xfs "$(either 'Concurrency.*' 'Files.*:Concurrency.*:Sstable.Finds*:Rocksdb.Finds*')"; }

either() { if is_full; then echo "$2"; else echo "$1"; fi; }

on_the_device() {
	array
	application make "$block" $pairs
	application run "$block" $pairs $((20 * more))
	quietly ringraid fail t "${members[0]}"
	application run "$block" $pairs $((20 * more))
	no_stream
	stop
	array
	churn "$block"
	stop
}

killed() {
	local before after app end=$((SECONDS + 60))
	array
	application make "$block" $pairs
	before=$(left_over)
	rm -f "$tmp/count"
	(cd "$tmp" && exec /test/chain_load run "$block" $pairs 0 "$tmp/count") >"$tmp/log-app" 2>&1 &
	app=$!
	eventually "look-ups" did "$tmp/count" 64
	[ "$(left_over)" != "$before" ] || fail "the application has nothing in the kernel: nothing to test"
	end_of $app
	# What a ring holds is given back by a worker of the kernel.
	until after=$(left_over) && [ "$after" = "$before" ]; do
		[ $SECONDS -lt $end ] || { diff <(echo "$before") <(echo "$after") || true; fail "kill -9 leaves something"; }
		sleep 0.2
	done
	application run "$block" $pairs 5
	stop
}

# Who asks for sixteen times as much gets no more of the device, and both go on.
two_share() {
	local small large a b
	array
	application make "$block" $pairs
	rm -f "$tmp/count-small" "$tmp/count-large"
	/test/chain_load run "$block" $pairs 0 "$tmp/count-small" 16 >"$tmp/log-small" 2>&1 &
	small=$!
	/test/chain_load run "$block" $pairs 0 "$tmp/count-large" 256 >"$tmp/log-large" 2>&1 &
	large=$!
	eventually "look-ups of the small one" did "$tmp/count-small" 16
	eventually "look-ups of the large one" did "$tmp/count-large" 256
	a=$(cat "$tmp/count-small") b=$(cat "$tmp/count-large")
	eventually "both go on" did "$tmp/count-large" $((b + 256 * 6))
	kill -STOP $small $large
	a=$(($(cat "$tmp/count-small") - a)) b=$(($(cat "$tmp/count-large") - b))
	end_of $small $large
	say "look-ups side by side: $a with 16 at a time, $b with 256"
	if [ $((a * 3)) -lt "$b" ] || [ $((b * 3)) -lt "$a" ]; then fail "one starves the other"; fi
	stop
}

by_nvme_commands() {
	local disk
	disk=$(basename "$(readlink -f /dev/disk3)")
	application make /dev/disk3 $pairs
	application run "/dev/ng${disk#nvme}" $pairs $((20 * more))
}

take_turns on_ext4 on_xfs on_the_device killed two_share by_nvme_commands
