#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# create --write-zeroes: disks 0 to 3 have the command, disk 4 has not.
. "${0%/*}/lib.sh"
read -ra members < <(disks 4)
size=24 # MiB of each member that an array has, where not all of it

# Random data all over their first MiBs, other on each.
dirty() {
	local d
	for d in "${members[@]}"; do
		dd if=/dev/urandom of="$tmp/random" bs=1M count=8 status=none
		for ((at = 0; at < size + 8; at += 8)); do
			quietly dd if="$tmp/random" of="$d" bs=1M seek=$at oflag=direct status=none
		done
	done
}

# Nobody has anything on them, and nobody serves them.
nobodys() {
	local d
	for d in "${members[@]}"; do
		refused 'no md superblock' ringraid examine "$d"
	done
	refused 'no array runs' ringraid status
	for d in /dev/ublkb*; do
		[ ! -e "$d" ] || fail "left: $d"
	done
}

zero() { cmp -s -n "$(blockdev --getsize64 "$1")" "$1" /dev/zero || fail "not zero: $1, $2"; }

born_in_sync() {
	dirty
	ringraid create t "${members[@]}" --chunk 64K --size ${size}M --write-zeroes >"$tmp/out" 2>&1 || { cat "$tmp/out"; fail create; }
	grep -q 'zeroing the members: 100%' "$tmp/out" || { cat "$tmp/out"; fail "no progress"; }
	grep -q 'places of each .*(seed [0-9]' "$tmp/out" || { cat "$tmp/out"; fail "nothing was read back"; }
	block=$(st block_device)
	state healthy
	[ "$(st 'job.now // .job.last // empty')" = "" ] || fail "a new array has a job: $(st job)"
	zero "$block" "healthy"
	quietly ringraid fail t "${members[1]}"
	zero "$block" "without a member"
	stop
	# Each time from data that are another's.
	dirty
	quietly ringraid create t "${members[@]}" --chunk 64K --size ${size}M --write-zeroes --no-start --layout right-asymmetric
	judge "${members[@]}"
	dirty
	quietly ringraid create t "${members[@]}" --chunk 64K --size ${size}M --write-zeroes --no-start --force --consistency bitmap
	judge "${members[@]}"
	for d in "${members[@]}"; do mdadm -X "$d" | grep -q '0 dirty' || { mdadm -X "$d"; fail "bits are set on $d"; }; done
	again "${members[@]}"
	fill
	stop
	judge "${members[@]}"
	again "${members[@]}"
	read_all "after md had it"
	stop
}

# Before anything is written.
refusals() {
	keep "${members[@]}" /dev/disk4
	refused '/dev/disk4 has no command to write zeroes' \
		ringraid create t "${members[@]}" /dev/disk4 --write-zeroes
	grep -q 'hint:.*without --write-zeroes' "$tmp/log" || { cat "$tmp/log"; fail "no hint"; }
	refused 'assume-clean excludes --write-zeroes' ringraid create t "${members[@]}" --write-zeroes --assume-clean
	kept "${members[@]}" /dev/disk4
	nobodys
}

# creating OPTION...: in the background, until it zeroes; sets $creates.
creating() {
	: >"$tmp/out" # the last one's would do for this one, before its shell has begun
	ringraid create t "${members[@]}" --write-zeroes "$@" >"$tmp/out" 2>&1 &
	creates=$!
	eventually "it zeroes" grep -q 'zeroing the members' "$tmp/out"
}

# An end in the middle, over an array of md's that is given up by --force.
interrupted() {
	local rc
	for how in TERM KILL; do
		quietly mdadm --create "$md" --run --level=5 --raid-devices=4 --assume-clean "${members[@]}"
		give
		creating --force
		kill -$how $creates
		{ wait $creates || true; } 2>/dev/null
		eventually "the daemon ends" nobody_serves
		nobodys
	done
	rc=0
	creating --foreground
	kill -TERM $creates
	wait $creates || rc=$?
	[ $rc = 1 ] || { cat "$tmp/out"; fail "exit code $rc"; }
	grep -q 'told to stop while' "$tmp/out" || { cat "$tmp/out"; fail "it does not say why"; }
	nobodys
	quietly ringraid create t "${members[@]}" --write-zeroes --no-start
	judge "${members[@]}"
}

nobody_serves() { [ -z "$(pidof ringraid)" ]; }

play refusals born_in_sync interrupted
