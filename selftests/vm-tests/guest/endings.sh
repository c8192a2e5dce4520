#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# How an array ends, and what the next start makes of it. Where a kill falls is left to
# chance in the first cases: the result must be the same wherever it does.
. "${0%/*}/lib.sh"
read -ra disks < <(disks 4)
late=(/dev/mapper/late0 /dev/mapper/late1 /dev/mapper/late2 /dev/mapper/late3)
modprobe dm-delay

# made: an array on disks whose flushes take a while.
made() {
	local i
	wipe "${disks[@]}"
	for i in 0 1 2 3; do slow late$i "/dev/disk$i" 0 0 "$1"; done
	start t "${late[@]}" --chunk 64K --assume-clean --queues 1
	fill
}

unmade() {
	local i
	for i in 0 1 2 3; do quietly dmsetup remove late$i; done
}

# comes_back HEALTH: the next start needs no resync and no force, and all is there.
comes_back() {
	local rc=0
	timeout 100 ringraid assemble "${late[@]}" --queues 1 >"$tmp/assemble" 2>&1 || rc=$?
	[ $rc -le 1 ] || { cat "$tmp/assemble"; fail "not started again"; }
	[ -b "$(st block_device)" ] || { cat "$tmp/assemble"; fail "not started again"; }
	! grep -q 'recomputing parity' "$tmp/assemble" || fail "a resync, though nothing was in flight"
	block=$(st block_device)
	state "$1"
}

# killed_while_it_stops SECONDS: after the command was given.
killed_while_it_stops() {
	local pid
	pid=$(st pid)
	ringraid stop >"$tmp/stop" 2>&1 &
	sleep "$1"
	kill -9 "$pid" 2>/dev/null || true
	wait $! || true
	eventually "the daemon's threads are gone" is_alone "$pid"
}

# The device is gone, the clean mark is not yet there.
after_the_last_io() {
	local pid
	pid=$(st pid)
	write_at 3000 384
	ringraid stop >"$tmp/stop" 2>&1 &
	eventually "the device is gone" test ! -e "$block"
	kill -9 "$pid" 2>/dev/null || true
	wait $! || true
	eventually "the daemon's threads are gone" is_alone "$pid"
	comes_back "$1"
	read_all "killed while it stopped, $1"
}

stop_cut_off() {
	local at health
	made 300
	for health in healthy degraded; do
		[ $health = healthy ] || quietly ringraid fail t 1
		after_the_last_io $health
		for at in 0.02 0.1 0.3 0.6 1 1.5; do
			killed_while_it_stops $at
			comes_back $health
		done
		read_all "killed while it stopped, $health"
	done
	stop
	take_degraded "${late[0]}" "${late[2]}" "${late[3]}"
	block=$md
	read_all "by md"
	give
	unmade
}

# gone DISK: the disk is pulled; back: all are there again, under their names.
gone() {
	echo 1 >"/sys/block/$(readlink "$1")/device/device/remove"
	eventually "$1 is gone" test ! -e "/sys/block/$(readlink "$1")"
}
back() {
	local b i
	echo 1 >/sys/bus/pci/rescan
	for i in 0 1 2 3; do eventually "disk$i is back" named "$i"; done
}
named() {
	local b
	for b in /sys/block/nvme*; do
		[ "$(tr -d ' \n' <"$b/device/serial" 2>/dev/null)" != "disk$1" ] || { ln -sf "${b##*/}" "/dev/disk$1"; return 0; }
	done
	return 1
}

# A member vanishes while nothing is written.
idle_loss() {
	local d rest=(/dev/disk0 /dev/disk1 /dev/disk3)
	wipe "${disks[@]}"
	start t "${disks[@]}" --chunk 64K --assume-clean
	fill
	gone /dev/disk2
	quietly timeout 100 ringraid stop
	for d in "${rest[@]}"; do
		[ "$(ringraid --json examine "$d" | jq '.devices[0].clean')" = true ] || fail "$d is dirty after the stop"
	done
	again "${rest[@]}"
	state degraded
	read_all "without the member that vanished"
	stop
	take_degraded "${rest[@]}"
	block=$md
	read_all "by md"
	give
	back
	# The one that vanished is stale, and known to be.
	again "${disks[@]}"
	state degraded
	stop
}

# A survivor is slow to write: what fail answers is what happened.
slow_survivor() {
	local rc=0 i state
	wipe "${disks[@]}"
	for i in 0 1 2 3; do slow late$i "/dev/disk$i" 0 0 0; done
	start t "${late[@]}" --chunk 64K --assume-clean
	slow late2 /dev/disk2 0 12000 0
	timeout 200 ringraid fail t 0 >"$tmp/fail" 2>&1 || rc=$?
	state=$(st 'members[0].state')
	case "$rc $state" in
	'0 failed' | '1 active') ;;
	*) cat "$tmp/fail"; fail "fail ends with $rc, and the member is $state" ;;
	esac
	[ $rc = 0 ] || fail "fail with a slow survivor: $(cat "$tmp/fail")"
	ringraid status >"$tmp/log" 2>&1 || rc=$?
	[ $rc = 1 ] || { cat "$tmp/log"; fail "status meanwhile: exit code $rc"; }
	slow late2 /dev/disk2 0 0 0
	state degraded
	stop
	unmade
}

play stop_cut_off idle_loss slow_survivor
