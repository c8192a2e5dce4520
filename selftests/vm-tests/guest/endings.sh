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
		for at in $(half_of 2 0.02 0.1 0.3 0.6 1 1.5); do
			killed_while_it_stops "$at"
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

# A member vanishes while nothing is written.
idle_loss() {
	local d rest=(/dev/disk0 /dev/disk1 /dev/disk3)
	wipe "${disks[@]}"
	start t "${disks[@]}" --chunk 64K --assume-clean
	fill
	detach /dev/disk2
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
	attach
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

# refuse WHAT: the kernel refuses that command of ublk, until allow.
refuse() { quietly bpftool prog loadall "/test/refuse_$1.bpf.o" /sys/fs/bpf/refuse autoattach; }
allow() { rm -r /sys/fs/bpf/refuse; }

# The kernel does not start the device, after the superblocks say dirty: they are clean
# again, so that neither a resync nor, degraded, force is needed; and nothing is left.
start_fails() {
	local d rest=(/dev/disk0 /dev/disk2 /dev/disk3)
	wipe "${disks[@]}"
	refuse start
	refused 'Input/output error' timeout 100 ringraid create t "${disks[@]}" --chunk 64K --assume-clean
	allow
	nothing_left "${disks[@]}"
	again "${disks[@]}"
	fill
	quietly ringraid fail t 1
	stop
	refuse start
	refused 'Input/output error' timeout 100 ringraid assemble "${rest[@]}" --degraded
	allow
	nothing_left "${rest[@]}"
	timeout 100 ringraid assemble "${rest[@]}" >"$tmp/log" 2>&1 || [ $? = 1 ] || { cat "$tmp/log"; fail "not started after a start that failed"; }
	block=$(st block_device)
	state degraded
	read_all "after a start that failed"
	stop
}

# nothing_left DISK...: of a start that failed; the array is as clean as it was.
nothing_left() {
	local d
	for d in "$@"; do
		[ "$(ringraid --json examine "$d" | jq '.devices[0].clean')" = true ] || fail "$d is dirty after a start that failed"
	done
	[ -z "$(find /sys/fs/bpf/ringraid -mindepth 1)" ] || fail "pins are left: $(ls -R /sys/fs/bpf/ringraid)"
	[ -z "$(find /sys/block -name 'ublkb*')" ] || fail "a device is left"
	[ -z "$(find /run/ringraid -name state.json)" ] || fail "a state is left"
}

# The kernel does not let the successor end the recovery: clients go on waiting, and
# the next one serves them.
recovery_fails() {
	local engine
	for engine in bpf user; do
		wipe "${disks[@]}"
		start t "${disks[@]}" --chunk 64K --assume-clean --engine $engine
		background recovery --size=8m --offset=32m --offset_increment=8m
		sleep 1
		kill_daemon
		refuse recovery
		refused 'Input/output error' timeout 100 ringraid assemble "${disks[@]}"
		allow
		kill -0 "${clients[recovery]}" || fail "a client had an error when the takeover failed"
		quietly timeout 100 ringraid assemble "${disks[@]}"
		block=$(st block_device)
		state healthy
		sleep 1
		end_clients
		stop
		judge "${disks[@]}"
	done
}

# kill -9 in a stop by force that waits for writes on their way to slow members.
stop_by_force_cut_off() {
	local i pid before
	wipe "${disks[@]}"
	for i in 0 1 2 3; do slow late$i "/dev/disk$i" 0 0 0; done
	start t "${late[@]}" --chunk 64K --assume-clean --queues 1
	fill
	pid=$(st pid)
	before=$(counter slot_writes)
	for i in 0 1 2 3; do slow late$i "/dev/disk$i" 0 60000 0; done
	dd if=/dev/urandom of="$block" bs=4k count=1 oflag=direct 2>/dev/null &
	eventually "a row in the making" counts slot_writes "$before"
	ringraid stop --force >"$tmp/stop" 2>&1 &
	eventually "the device is being stopped" is_being_stopped
	kill -9 "$pid"
	for i in 0 1 2 3; do slow late$i "/dev/disk$i" 0 0 0; done # which lets go what waits
	wait $! || true
	eventually "the daemon's threads are gone" is_alone "$pid"
	comes_back healthy
	quietly dd if="$block" of="$tmp/got" bs=1M iflag=direct status=none
	cmp -s "$tmp/ref" "$tmp/got" 4096 4096 || fail "more than the block that was in flight has changed"
	stop
	judge "${late[@]}"
	unmade
}

is_being_stopped() { grep -qs 'ublk-[s]top' /proc/[0-9]*/cmdline; }

take_turns stop_cut_off idle_loss slow_survivor start_fails recovery_fails stop_by_force_cut_off
