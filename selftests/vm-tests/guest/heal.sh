#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Disks 0 to 3 are the array, 4 and 5 the spares; 6 to 9 keep what a power cut left.
. "${0%/*}/lib.sh"
read -ra disks < <(disks 4)
spare=/dev/disk4

# array [OPTION...]: made, full of known data. With room for busy: BUSY=1; else SIZE of each.
array() {
	local size=${SIZE:-16M}
	[ -z "${BUSY:-}" ] || size=28M
	wipe "${disks[@]}" "$spare" /dev/disk5
	start t "${disks[@]}" --chunk 64K --assume-clean --size "$size" "$@"
	fill
}

# goes_on: whole, or being rebuilt; by one look, as the one may become the other between two.
goes_on() { [ "$(st 'state == "healthy" or .job.now.kind == "rebuild"')" = true ]; }
is_rebuilding() { [ "$(job kind)" = rebuild ]; }
is_whole() { is_state healthy && [ "$(job kind)" = null ]; }

# slowly: a rebuild that takes its time.
slowly() {
	quietly ringraid set t sync-max=2000
	quietly ringraid add t "$spare"
	eventually "the rebuild is under way" is_past 20
}

# rebuilt DISK...: whole, and md finds no wrong row.
rebuilt() {
	quietly timeout 300 ringraid wait t
	state healthy
	read_all "after the rebuild"
	no_stream
	stop
	judge "$@"
}

# A member is lost under load, a device is added, and clients see nothing of it.
under_load() {
	local engine
	for engine in $(engines); do
		BUSY=1 array --engine "$engine"
		busy
		quietly ringraid fail t 1
		quietly ringraid add t "$spare"
		[ "$(st 'members[1].device')" = "$spare" ] || fail "$spare is not member 1"
		quietly timeout 300 ringraid wait t
		end_clients
		state healthy
		if [ "$(told RebuildStarted)" -lt 1 ] || [ "$(told SpareActive)" != 1 ]; then fail "no event tells of it"; fi
		# All but what the load wrote.
		dd if="$block" bs=1M count=32 iflag=direct status=none | cmp -s - <(head -c 33554432 "$tmp/ref") || fail "wrong data"
		# What the old member holds is not looked at any more: another one may go.
		quietly ringraid fail t 2
		dd if="$block" bs=1M count=32 iflag=direct status=none | cmp -s - <(head -c 33554432 "$tmp/ref") || fail "the spare holds wrong data"
		quietly ringraid add t /dev/disk5
		quietly timeout 300 ringraid wait t
		no_stream
		stop
		judge /dev/disk0 "$spare" /dev/disk5 /dev/disk3
	done
}

# A spare takes over by itself; and is one after a restart.
hot_spare() {
	array
	quietly ringraid add t "$spare"
	state healthy
	[ "$(st 'spares[0].device')" = "$spare" ] || fail "no spare"
	stop
	again "${disks[@]}" "$spare"
	[ "$(st 'spares[0].device')" = "$spare" ] || fail "no spare after a restart"
	quietly ringraid fail t 3
	eventually "the spare takes over" is_whole
	rebuilt /dev/disk0 /dev/disk1 /dev/disk2 "$spare"
	# A spare that is not needed is let go, and one that holds something is no spare.
	again /dev/disk0 /dev/disk1 /dev/disk2 "$spare"
	quietly mkfs.ext4 -q /dev/disk5
	refused "holds" ringraid add t /dev/disk5
	quietly ringraid add t /dev/disk5 --force
	quietly ringraid remove t /dev/disk5
	[ "$(st 'spares | length')" = 0 ] || fail "the spare is still there"
	refused "in use" ringraid remove t "$spare"
	quietly mkfs.ext4 -q /dev/disk5 # it is free
	stop
}

# Stopped at half: our next start goes on there, and so does md; what md began we finish.
stopped() {
	local offset
	array
	quietly ringraid fail t 2
	slowly
	write_at 640 256
	stop
	offset=$(($(get32 "$spare" 152)))
	[ $offset -gt 0 ] || fail "no checkpoint"
	again "${disks[0]}" "${disks[1]}" "${disks[3]}" "$spare"
	goes_on || fail "the rebuild does not go on"
	quietly timeout 300 ringraid wait t
	# A cell of each row that was not done.
	[ "$(counter slot_writes)" -lt $(($(st size_bytes) / 3 / 65536)) ] || fail "it began anew"
	rebuilt /dev/disk0 /dev/disk1 "$spare" /dev/disk3

	array
	quietly ringraid fail t 0
	halfway
	write_at 6400 256
	stop
	quietly mdadm --assemble --run "$md" "$spare" "${disks[@]:1}"
	md_idle
	while [ "$(md_attr degraded)" != 0 ]; do sleep 0.1; done
	check "finished by md"
	give
	again "$spare" "${disks[@]:1}"
	state healthy
	read_all "finished by md"
	stop

	quietly mdadm --assemble "$md" "$spare" "${disks[@]:1}"
	echo 1000 >"/sys/block/${md#/dev/}/md/sync_speed_max"
	quietly mdadm "$md" --fail "$(readlink -f /dev/disk1)"
	quietly mdadm "$md" --remove "$(readlink -f /dev/disk1)"
	quietly mdadm --zero-superblock /dev/disk1
	quietly mdadm "$md" --add "$(readlink -f /dev/disk5)"
	sleep 3
	give
	again "$spare" /dev/disk5 /dev/disk2 /dev/disk3
	goes_on || fail "what md began is not gone on with"
	rebuilt "$spare" /dev/disk5 /dev/disk2 /dev/disk3
}

# kill -9 in the middle of it: the successor goes on from there, under load.
killed() {
	local i
	BUSY=1 array
	busy
	quietly ringraid fail t 1
	quietly ringraid set t sync-max=8000
	quietly ringraid add t "$spare"
	for ((i = 0; i < 4; i++)); do
		sleep "0.$((RANDOM % 10))"
		kill_daemon
		quietly timeout 100 ringraid assemble /dev/disk0 /dev/disk2 /dev/disk3 "$spare"
		block=$(st block_device)
		goes_on || fail "the successor does not rebuild"
	done
	quietly ringraid set t sync-max=0
	quietly timeout 300 ringraid wait t
	end_clients
	stop
	judge /dev/disk0 "$spare" /dev/disk2 /dev/disk3
	again /dev/disk0 "$spare" /dev/disk2 /dev/disk3
	quietly ringraid check t --wait
	stop
}

# pulled DISK ROLE REST...: the daemon is killed, and the disk pulled before anybody takes
# over: nobody throws it out unasked, and what was in it is computed.
pulled() {
	local disk=$1 role=$2
	shift 2
	write_at 640 256
	kill_daemon_wholly
	detach "$disk"
	refused "member $role .*is not there" timeout 100 ringraid assemble "$@"
	again --degraded "$@"
	state degraded
	eventually "no job goes on" is_idle
	read_all "without $disk"
	write_at 12800 256
	attach
	eventually "$disk is back" named "${disk#/dev/disk}"
	stop
	again "$@" "$disk"
	state degraded
	is_idle || fail "what $disk missed is not asked for"
	read_all "beside $disk, which is old"
	quietly ringraid add t "$disk"
}

# Of the rebuild's target, and of a member that has all its data.
pulled_after_the_kill() {
	SIZE=8M array
	quietly ringraid fail t 1
	halfway
	pulled "$spare" 1 /dev/disk0 /dev/disk2 /dev/disk3
	rebuilt /dev/disk0 "$spare" /dev/disk2 /dev/disk3

	SIZE=8M array
	pulled /dev/disk2 2 /dev/disk0 /dev/disk1 /dev/disk3
	rebuilt "${disks[@]}"
}

# The power goes in the middle of it, with nobody writing: copies of the disks as they are
# at that moment go on from the last checkpoint, ours and md's to the same bytes.
cut_off() {
	array --clean-after 0.2
	quietly ringraid fail t 3
	quietly ringraid set t sync-max=2000
	quietly ringraid add t "$spare"
	eventually "the array is clean while it is rebuilt" is_clean
	is_rebuilding || fail "the rebuild was over before the array was clean"
	eventually "the rebuild is under way" is_past 20
	quietly ringraid pause t
	eventually "it waits" is_paused
	copy 0:6 1:7 2:8 4:9
	stop
	copy 6:0 7:1 8:2 9:4
	again /dev/disk0 /dev/disk1 /dev/disk2 "$spare"
	goes_on || fail "the rebuild does not go on"
	rebuilt /dev/disk0 /dev/disk1 /dev/disk2 "$spare"
	copy 6:0 7:1 8:2 9:4
	quietly mdadm --assemble --run "$md" /dev/disk0 /dev/disk1 /dev/disk2 "$spare"
	while [ "$(md_attr degraded)" != 0 ]; do sleep 0.1; done
	check "a cut-off rebuild, finished by md"
	cmp "$tmp/ref" $md >/dev/null || fail "md reads other data"
	give
}

# A second member fails, or the spare does: nothing is made up.
second_loss() {
	array
	quietly ringraid fail t 1
	halfway
	quietly ringraid fail t 1
	state degraded
	eventually "the rebuild ends" is_idle
	read_all "the spare failed"
	write_at 1280 128
	quietly ringraid add t /dev/disk5
	rebuilt /dev/disk0 /dev/disk5 /dev/disk2 /dev/disk3

	array
	quietly ringraid fail t 1
	halfway
	refused "another member" ringraid fail t 2
	go_on
	rebuilt /dev/disk0 "$spare" /dev/disk2 /dev/disk3
}

# A check names the row that is wrong, mends nothing; a repair makes parity from the data.
checked() {
	local at
	BUSY=1 array
	quietly ringraid check t --wait
	[ "$(st 'job.last.mismatch_sectors')" = 0 ] || fail "a sound array has mismatches"
	stop
	at=$(($(offset_of /dev/disk2) + 2464)) # a 4 KiB row of member 2
	dd if=/dev/urandom of=/dev/disk2 bs=512 seek=$at count=1 oflag=direct conv=notrunc status=none
	again "${disks[@]}"
	refused "healthy" ringraid check t --wait
	[ "$(st 'job.last.mismatch_sectors')" = 8 ] || fail "mismatches: $(st 'job.last.mismatch_sectors')"
	[ "$(st 'job.last.mismatches[0]')" = 2464 ] || fail "the wrong row is $(st 'job.last.mismatches[0]')"
	refused "healthy" ringraid check t --from 1232K --to 1236K --wait
	quietly ringraid check t --from 2M --wait
	stop
	take "${disks[@]}"
	mismatches 8 "of the row that was spoilt"
	give
	again "${disks[@]}"
	quietly ringraid repair t --wait
	quietly ringraid check t --wait
	# Under load nothing is found that is only in flight.
	busy
	quietly ringraid check t --wait
	quietly ringraid check t --wait
	end_clients
	stop
	judge "${disks[@]}"
}

# check_begins: slowly, and is past a third. check_goes_on WHEN [READS]: from there, with
# what it had found, and no more than READS of the 1024 blocks are read.
check_begins() {
	quietly ringraid set t sync-max=2000
	quietly ringraid check t
	eventually "the check is under way" is_past 33
}
check_goes_on() {
	again "${disks[@]}"
	eventually "it is over, $1" is_idle
	[ "$(st 'job.last.kind')" = check ] || fail "no check went on, $1"
	[ "$(st 'job.last.mismatch_sectors')" = 8 ] || fail "it found $(st 'job.last.mismatch_sectors') sectors, $1"
	[ "$(counter slot_reads)" -le "${2:-2048}" ] || fail "it began anew, $1: $(counter slot_reads) reads"
	eventually "its place is forgotten, $1" test ! -e "$note"
}

# A check that is interrupted goes on at the next start, by itself, with what it found.
interrupted() {
	array
	note=/var/lib/ringraid/$(st uuid | tr : -).check
	stop
	dd if=/dev/urandom of=/dev/disk2 bs=512 seek=$(($(offset_of /dev/disk2) + 136)) count=1 oflag=direct conv=notrunc status=none
	again "${disks[@]}"
	check_begins
	stop
	[ "$(stat -c %a:%u "${note%/*}" "$note" | tr '\n' ' ')" = "700:0 600:0 " ] || fail "others may look: $(stat "${note%/*}" "$note")"
	check_goes_on "after a stop" 700
	# By the last place that was kept where neither a stop nor a successor tells.
	check_begins
	kill_daemon_wholly
	quietly ringraid stop --force t
	check_goes_on "after the daemon's death" 800
	check_begins
	kill_daemon
	check_goes_on "with a successor"
	# What is cancelled is over.
	check_begins
	quietly ringraid cancel t
	eventually "it is over" is_idle
	stop
	again "${disks[@]}"
	if ! is_idle || [ "$(st 'job.last')" != null ]; then fail "a check that was cancelled goes on"; fi
	stop
}

take_turns under_load hot_spare stopped killed pulled_after_the_kill cut_off second_loss checked interrupted
