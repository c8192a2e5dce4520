#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# life.sh: /test/table has STATE|EVENT|OUTCOME|THEN of docs/life.md. Each row is played:
# the array is brought into the state, held there by members that take their time, the
# event happens, and outcome and next state are compared. What a member's loss and
# another writer lead to is for takeover.sh and endings.sh; the table's word on them is
# compared there.
. "${0%/*}/lib.sh"
modprobe dm-mod
modprobe dm-delay
maps=()
for i in 0 1 2 3; do
	quietly dmsetup create "m$i" --table "0 $(blockdev --getsz "/dev/disk$i") linear $(readlink -f "/dev/disk$i") 0"
	dmsetup mknodes "m$i"
	maps+=("/dev/mapper/m$i")
done

# pace READ WRITE FLUSH: milliseconds that every member takes from now on; the I/O that is
# on its way goes on as it was.
pace() {
	local i disk
	for i in 0 1 2 3; do
		disk=$(readlink -f "/dev/disk$i")
		quietly dmsetup load "m$i" --table "0 $(blockdev --getsz "$disk") delay $disk 0 $1 $disk 0 $2 $disk 0 $3"
		quietly dmsetup suspend --noflush --nolockfs "m$i"
		quietly dmsetup resume "m$i"
	done
}

# life: in what state the array is, seen from outside.
life() {
	local told
	told=$(ringraid --json status t 2>/dev/null || true)
	case $(jq -r '.errno // 0' <<<"$told") in
	0) jq -r .life <<<"$told" ;;
	2) echo absent ;;
	130) echo deserted ;;
	*) echo "unknown: $told" ;;
	esac
}
is_life() { [ "$(life)" = "$1" ]; }
daemon() { (ringraid --json status t 2>/dev/null || true) | jq -r '.pid // empty'; }

# wait_life STATE: it comes, and soon: the state is held for seconds only.
wait_life() {
	local end=$((SECONDS + 60))
	until is_life "$1"; do
		[ $SECONDS -lt $end ] || fail "the array is $(life), never $1"
		sleep 0.05
	done
}

# settled STATE: where a state leads by itself.
settled() {
	case $1 in
	starting | parked | 'taking over') echo serving ;;
	stopping) echo absent ;;
	*) echo "$1" ;;
	esac
}

served() {
	quietly ringraid create t "${maps[@]}" --chunk 64K --assume-clean --force --queues 2
	block=$(st block_device)
	quietly dd if=/dev/urandom of="$block" bs=64k count=16 oflag=direct status=none
}

killed() {
	local pid
	pid=$(daemon)
	kill -9 "$pid"
	until is_dead "$pid"; do sleep 0.02; done
}

# enter STATE: brings the array there; a command that holds it is $held.
held=''
enter() {
	pace 0 0 0
	held=''
	case $1 in
	absent) quietly ringraid create t "${maps[@]}" --chunk 64K --assume-clean --force --no-start ;;
	starting)
		pace 300 0 0
		ringraid create t "${maps[@]}" --chunk 64K --force --wait --queues 2 >"$tmp/held" 2>&1 &
		held=$!
		;;
	serving) served ;;
	parked)
		served
		pace 0 3000 0
		dd if=/dev/urandom of="$block" bs=4k count=1 oflag=direct status=none &
		sleep 0.5
		ringraid upgrade t >"$tmp/held" 2>&1 &
		held=$!
		;;
	stopping)
		served
		pace 0 0 1000
		ringraid stop t >"$tmp/held" 2>&1 &
		held=$!
		;;
	deserted)
		served
		killed
		;;
	'taking over')
		served
		killed
		pace 0 0 1000
		ringraid assemble "${maps[@]}" >"$tmp/held" 2>&1 &
		held=$!
		;;
	'device gone')
		served
		/test/ublk_del "${block#/dev/ublkb}"
		;;
	esac
	wait_life "$1"
}

# happen EVENT: as a command, its exit code is $rc and what it said $tmp/said.
happen() {
	rc=0
	case $1 in
	assemble) timeout 60 ringraid assemble "${maps[@]}" >"$tmp/said" 2>&1 || rc=$? ;;
	status) ringraid --json status t >"$tmp/said" 2>&1 || rc=$? ;;
	fail) timeout 60 ringraid fail t 1 >"$tmp/said" 2>&1 || rc=$? ;;
	upgrade) timeout 60 ringraid upgrade t >"$tmp/said" 2>&1 || rc=$? ;;
	stop) timeout 60 ringraid stop t >"$tmp/said" 2>&1 || rc=$? ;;
	'stop --force') timeout 60 ringraid stop --force t >"$tmp/said" 2>&1 || rc=$? ;;
	killed) killed ;;
	'device deleted')
		# Where a start has it, the array's own word; $block, where a daemon died.
		local number
		number=$(st 'block_device // empty')
		[ -n "$number" ] || number=$block
		/test/ublk_del "${number#/dev/ublkb}" || rc=$?
		;;
	esac
}

# clear: whatever it is, to absent; the disks are then a clean array's, or a new one's.
clear_up() {
	pace 0 0 0
	[ -z "$held" ] || wait "$held" || true
	# A client that waits for a successor ends with this.
	is_life absent || timeout 100 ringraid stop --force t >"$tmp/clear" 2>&1 || true
	wait_life absent
	wait
	[ -z "$(ls /sys/fs/bpf/ringraid 2>/dev/null)" ] || fail "pins are left: $(ls -R /sys/fs/bpf/ringraid)"
	[ -z "$(ls /sys/class/ublk-char)" ] || fail "ublk devices are left: $(ls /sys/class/ublk-char)"
	[ ! -L /dev/ringraid/t ] || fail "the link is left"
}

# next_start: after a death; everything is there, and nothing is recomputed.
next_start() {
	pace 0 0 0
	timeout 100 ringraid assemble "${maps[@]}" >"$tmp/next" 2>&1 || { cat "$tmp/next"; fail "no start after a death"; }
	! grep -q 'recomputing parity' "$tmp/next" || fail "a resync after a death"
	wait_life serving
}

# row STATE EVENT OUTCOME THEN
row() {
	local state=$1 event=$2 outcome=$3 then=$4
	enter "$state"
	happen "$event"
	case $outcome in
	done) [ $rc = 0 ] || { [ "$event" = status ] && [ $rc -le 4 ]; } || { cat "$tmp/said"; fail "$state: $event is not done ($rc)"; } ;;
	later)
		# Where clients go on waiting, that is the answer.
		[ $rc = 0 ] || { [ "$then" = deserted ] && grep -q 'clients wait' "$tmp/said"; } ||
			{ cat "$tmp/said"; fail "$state: $event is answered with $rc"; }
		;;
	refused)
		[ $rc -ne 0 ] || { cat "$tmp/said"; fail "$state: $event is not refused"; }
		[ "$event" = status ] || grep -qE '^hint: |"hint"' "$tmp/said" || { cat "$tmp/said"; fail "$state: $event is refused without a hint"; }
		is_life "$state" || is_life "$(settled "$state")" || fail "$state: a refused $event made it $(life)"
		;;
	esac
	if [ "$event" = status ]; then
		is_life "$state" || is_life "$(settled "$state")" || fail "$state: status made it $(life)"
	else
		[ "$outcome" = refused ] || { pace 0 0 0; wait_life "$(settled "$then")"; }
	fi
	[ "$event" != killed ] || [ "$state" = starting ] || next_start
	clear_up
	rows=$((rows + 1))
}

rows=0
while IFS='|' read -r state event outcome next <&3; do
	case $event in 'member gone' | 'other writer') continue ;; esac
	[ "$outcome" != - ] || continue
	# A row costs seconds: the kills, and a third of the others; all of them with --full.
	[ "$event" = killed ] || is_full || [ $(((1 + ${#event} + 2 * ${#state}) % 3)) = 0 ] || continue
	row "$state" "$event" "$outcome" "$next"
	say "$state: $event: $outcome, then $next"
done 3</test/table
[ $rows -ge 12 ] || fail "only $rows rows were played"
say "$rows rows of the table, as it says"
