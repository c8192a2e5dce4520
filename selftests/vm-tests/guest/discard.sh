#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Write-zeroes and discard. Disks 0 to 3 are the array, 4 is new; disk 5 has no command
# that makes zeros.
. "${0%/*}/lib.sh"
read -ra disks < <(disks 4)
stripe=384 # sectors
policies=(ppl bitmap)
policy=${policies[seed % 2]}

# array ENGINE [DISK...]: filled with random data.
array() {
	local engine=$1
	shift
	[ $# -gt 0 ] || set -- "${disks[@]}"
	start t "$@" --chunk 64K --assume-clean --force --consistency "$policy" --engine "$engine" --clean-after 0
	fill
}
one_engine() { if ((seed / 2 % 2)); then echo bpf; else echo user; fi; }

limit() { cat "/sys/block/${block#/dev/}/queue/$1"; }

# zero_ref SECTOR COUNT: that is what it has to be.
zero_ref() { dd if=/dev/zero of="$tmp/ref" bs=512 seek="$1" count="$2" conv=notrunc status=none; }

# zeroes SECTOR COUNT: by BLKZEROOUT, which takes no deallocation. punch: which does.
zeroes() {
	quietly blkdiscard -z -o $(($1 * 512)) -l $(($2 * 512)) "$block"
	zero_ref "$1" "$2"
}
punch() {
	quietly fallocate -p -o $(($1 * 512)) -l $(($2 * 512)) "$block"
	zero_ref "$1" "$2"
}
# discard SECTOR COUNT: of whole stripes.
discard() {
	local first=$((($1 + stripe - 1) / stripe)) end=$((($1 + $2) / stripe))
	quietly blkdiscard -o $(($1 * 512)) -l $(($2 * 512)) "$block"
	[ $end -le $first ] || zero_ref $((first * stripe)) $(((end - first) * stripe))
}

# Of all shapes, all over the array.
some_of_each() {
	local verb at=$((RANDOM % 700))
	for verb in zeroes punch discard; do
		$verb $at 1
		$verb $((at + 500)) $stripe
		$verb $((at + 3000)) $((3 * stripe + 77))
		$verb $((((at + 9000) / stripe) * stripe)) $((20 * stripe))
		$verb $(((at + 20000) / stripe * stripe + 8)) $((5 * stripe))
		at=$((at + 29000))
	done
	$verb 0 1
}

announced() {
	array "$(one_engine)"
	[ "$(limit write_zeroes_max_bytes)" = $((16777216 / 196608 * 196608)) ] || fail "write_zeroes_max_bytes: $(limit write_zeroes_max_bytes)"
	[ "$(limit discard_max_bytes)" = "$(limit write_zeroes_max_bytes)" ] || fail "discard_max_bytes: $(limit discard_max_bytes)"
	[ "$(limit discard_granularity)" = 65536 ] || fail "discard_granularity: $(limit discard_granularity)"
	stop
}

# What is read is zeros, or what was there; and of whole rows members make their own.
all_shapes() {
	local engine rows
	for engine in bpf user; do
		array $engine
		some_of_each
		read_all "$engine"
		rows=$(counter zeroed_cells)
		[ "$rows" -ge 75 ] || fail "members made $rows rows"
		[ $engine = user ] || [ "$(counter punts)" = 0 ] || fail "$(counter punts) punts"
		no_stream
		punch 0 $((40 * stripe))
		[ $(($(counter zeroed_cells) - rows)) = 40 ] || fail "$(counter zeroed_cells) rows, $rows before"
		write_at 100 $((2 * stripe))
		read_all "written again"
		quietly ringraid check t --wait
		stop
		judge "${disks[@]}"
	done
}

# The whole of it, and what a file system does.
file_system() {
	array "$(one_engine)"
	quietly blkdiscard "$block"
	cmp -s -n "$(blockdev --getsize64 "$block")" "$block" /dev/zero || fail "blkdiscard left something"
	quietly mkfs.ext4 -q -E discard "$block"
	mkdir -p "$tmp/mnt"
	quietly mount -o discard "$block" "$tmp/mnt"
	head -c 12000000 /dev/urandom >"$tmp/mnt/keep"
	for i in 1 2 3 4; do head -c 10000000 /dev/urandom >"$tmp/mnt/gone$i"; done
	sync
	sum=$(md5sum <"$tmp/mnt/keep")
	rm "$tmp/mnt/gone"[13]
	rows=$(counter zeroed_cells)
	quietly fstrim -v "$tmp/mnt"
	counts zeroed_cells "$rows" || fail "fstrim came to no row: $(cat "$tmp/log")"
	quietly umount "$tmp/mnt"
	quietly mount "$block" "$tmp/mnt"
	rm "$tmp/mnt/gone"[24]
	quietly fstrim -v "$tmp/mnt"
	quietly umount "$tmp/mnt"
	quietly e2fsck -fn "$block"
	quietly mount "$block" "$tmp/mnt"
	[ "$(md5sum <"$tmp/mnt/keep")" = "$sum" ] || fail "a file is another"
	quietly umount "$tmp/mnt"
	stop
	judge "${disks[@]}"
}

# A member is missing, then comes back, and zeros go on while it is filled.
degraded() {
	array "$(one_engine)"
	quietly ringraid fail t /dev/disk1
	some_of_each
	read_all "degraded"
	quietly ringraid set t sync-max=2000
	quietly ringraid add t /dev/disk4
	eventually "it rebuilds" is_past 5
	quietly ringraid set t sync-max=50 # from here on next to nothing
	some_of_each
	read_all "rebuilding"
	[ "$(job kind)" = rebuild ] || fail "it has been rebuilt"
	quietly ringraid set t sync-max=0
	some_of_each
	eventually "it is whole" is_state healthy
	read_all "rebuilt"
	stop
	judge /dev/disk0 /dev/disk4 /dev/disk2 /dev/disk3
	wipe /dev/disk4 /dev/disk1
}

# The daemon dies in the middle of zeros, again and again; clients see nothing of it.
killed() {
	local i at kills=2
	! is_full || kills=6
	array "$(one_engine)"
	for ((i = 1; i <= kills; i++)); do
		at=$(((RANDOM % 40) * stripe + RANDOM % 2 * 100))
		blkdiscard -z -o $((at * 512)) -l $((300 * stripe * 512)) "$block" &
		zero_ref $at $((300 * stripe))
		write_at $((400 * stripe + i)) 555
		kill_daemon
		again "${disks[@]}" --engine "$(one_engine)" --clean-after 0
		wait $! || fail "the client saw an error"
		[ "$(job kind)" = null ] || fail "a $(job kind) after a kill"
	done
	read_all "after kills"
	quietly ringraid check t --wait
	stop
	judge "${disks[@]}"
	again "${disks[@]}"
	read_all "after md"
	stop
}

# One member has no command: no discard is announced, and zeros are zeros all the same. One
# that comes later changes no promise.
unable() {
	local with=(/dev/disk0 /dev/disk5 /dev/disk2 /dev/disk3)
	array "$(one_engine)" "${with[@]}"
	[ "$(limit discard_max_bytes)" = 0 ] || fail "a discard is announced"
	refused 'not supported' blkdiscard "$block"
	zeroes 100 $((30 * stripe))
	punch $((100 * stripe)) $((30 * stripe))
	read_all "without a command"
	counts zeroed_cells 50 || fail "members made $(counter zeroed_cells) rows"
	stop
	judge "${with[@]}"
	wipe "${with[@]}"
	array "$(one_engine)"
	quietly ringraid fail t /dev/disk1
	quietly ringraid add t /dev/disk5
	eventually "it is whole" is_state healthy
	some_of_each
	read_all "with a member that has no command"
	stop
	judge "${with[@]}"
	wipe "${disks[@]}" /dev/disk5
}

take_turns announced all_shapes file_system degraded killed unable
