#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Disks 0 to 3 are the array, 4 and 5 the spares.
. "${0%/*}/lib.sh"
read -ra disks < <(disks 4)
spare=/dev/disk4

array() {
	wipe "${disks[@]}" "$spare" /dev/disk5
	start t "${disks[@]}" --chunk 64K --assume-clean --size 16M
}
run_of() { echo "/run/ringraid/$(st uuid | tr : -)"; }

# follow: $tmp/told has the events from now on; told EVENT [JQ]: one of them is there.
follow() {
	ringraid --json events t --follow >"$tmp/told" &
	follower=$!
}
told() { jq -e --arg e "$1" "select(.event == \$e) | ${2:-.}" "$tmp/told" >/dev/null 2>&1; }
names() { jq -r .event "$tmp/told" | tr '\n' ' '; }

# ended: the follower ends by itself, well.
ended() {
	local rc=0 waited=0
	while kill -0 "$follower" 2>/dev/null; do
		sleep 0.2
		[ $((waited += 1)) -lt 150 ] || fail "the follower does not end"
	done
	wait "$follower" || rc=$?
	[ $rc = 0 ] || fail "the follower ends with $rc"
}

# A whole life, seen by one who follows from the start to the end.
story() {
	local run
	array
	run=$(run_of)
	[ "$(stat -c %a:%u "$run/events")" = 600:0 ] || fail "the file is $(stat -c %a:%u "$run/events")"
	follow
	eventually "NewArray" told NewArray ".block_device == \"$block\""
	quietly ringraid fail t 1
	eventually "Fail" told Fail '.role == 1 and .device == "/dev/disk1" and .error != ""'
	quietly ringraid set t sync-max=400
	quietly ringraid add t "$spare"
	eventually "RebuildStarted" told RebuildStarted '.job == "rebuild" and .role == 1 and .device == "/dev/disk4"'
	quietly ringraid fail t 1
	eventually "FailSpare" told FailSpare '.role == 1 and .device == "/dev/disk4"'
	# The daemon dies: who follows goes on with its successor's.
	kill_daemon
	quietly timeout 100 ringraid assemble "${disks[0]}" "${disks[2]}" "${disks[3]}"
	eventually "DegradedArray" told DegradedArray
	quietly ringraid set t sync-max=0
	quietly ringraid add t /dev/disk5
	eventually "SpareActive" told SpareActive '.role == 1 and .device == "/dev/disk5"'
	quietly ringraid check t --wait
	eventually "RebuildFinished" told RebuildFinished '.job == "check" and .mismatch_sectors == 0'
	kill -0 "$follower" || fail "the follower ended before the array"
	stop
	ended
	[ "$(tail -n 1 "$tmp/told" | jq -r .event)" = DeviceDisappeared ] || fail "the last word is not DeviceDisappeared: $(names)"
	[ "$(jq -s 'map(select(.event == "NewArray")) | length' "$tmp/told")" = 1 ] || fail "a takeover is no new array: $(names)"
	[ "$(jq -s 'map(select(.event == "DeviceDisappeared")) | length' "$tmp/told")" = 1 ] || fail "twice gone: $(names)"
	# It is kept for who comes later, and by then the array is named by its uuid.
	ringraid events "$(jq -r .uuid "$tmp/told" | head -n 1)" | grep -q 'Fail t .*role=1' || fail "nothing is kept"
	refused "no array t runs" ringraid events t
}

# Given up after the daemon died: the follower ends, too.
given_up() {
	array
	follow
	eventually "NewArray" told NewArray
	kill_daemon_wholly
	sleep 1
	kill -0 "$follower" || fail "a dead daemon is no end: a successor may come"
	quietly ringraid stop --force t
	ended
	told DeviceDisappeared || fail "nothing tells that it was given up: $(names)"
}

# /run is full, and then cleared: events are lost, the array is not.
no_room() {
	local run=/run/ringraid
	mkdir -p $run
	chmod 0700 $run
	mount -t tmpfs -o size=256k,mode=0700 tmpfs $run
	array
	fill
	follow
	eventually "NewArray" told NewArray
	dd if=/dev/zero of=$run/fill bs=4k status=none 2>/dev/null || true
	# The page of the events that are there holds some; then nothing is left.
	for _ in $(seq 15); do quietly ringraid check t --from 0 --to 64K --wait; done
	[ "$(stat -c %s "$(run_of)/events")" -le 4096 ] || fail "there was room"
	quietly ringraid fail t 1
	write_at 1280 128
	read_all "with a full /run"
	state degraded
	sleep 1 # longer than who follows takes to look
	! told Fail || fail "there was room for all of it"
	rm $run/fill
	quietly ringraid add t "$spare"
	eventually "SpareActive" told SpareActive
	[ "$(jq -s length "$tmp/told")" -gt 0 ] || fail "a line is no JSON"
	rm "$(run_of)/events"
	quietly ringraid check t --wait
	eventually "events after they were cleared" told RebuildFinished '.job == "check"'
	stop
	ended
	# The daemon has its log open until it has ended.
	eventually "nothing holds $run" umount $run 2>/dev/null
}

# The lines that both have are the same.
same_words() {
	local d line field
	for d in "$@"; do
		mdadm --examine "$d" >"$tmp/theirs"
		ringraid examine "$d" >"$tmp/ours"
		for field in 'Recovery Offset' 'Internal Bitmap' 'PPL' 'Bad Block Log'; do
			line=$(sed -n "s/^ *$field : //p" "$tmp/theirs")
			[ "$(sed -n "s/^ *$field : //p" "$tmp/ours")" = "$line" ] ||
				{ cat "$tmp/theirs" "$tmp/ours"; fail "$d: $field is not '$line'"; }
			[ -z "$line" ] || said+=" $field;"
		done
		line=$(sed -n 's/^ *Device Role : //p' "$tmp/theirs")
		[ "$(sed -n 's/^ *role : //p' "$tmp/ours")" = "${line,}" ] || { cat "$tmp/ours"; fail "$d is $line"; }
		line=$(sed -n 's/^ *Array State : \([^ ]*\).*/\1/p' "$tmp/theirs")
		grep -q "array_state : $line$" "$tmp/ours" || { cat "$tmp/ours"; fail "$d: the array is $line"; }
	done
}

# What md makes, and what we make, in the middle of it.
examined() {
	local said=''
	wipe "${disks[@]}" "$spare" /dev/disk5
	quietly mdadm --create "$md" --run --level=5 --raid-devices=4 --chunk=64 --bitmap=internal --assume-clean "${disks[@]}"
	echo 500 >"/sys/block/${md#/dev/}/md/sync_speed_max"
	quietly mdadm "$md" --add "$spare"
	same_words "${disks[@]}" "$spare"
	echo want_replacement >"/sys/block/${md#/dev/}/md/dev-$(readlink /dev/disk1)/state"
	sleep 2
	quietly mdadm --stop "$md"
	same_words "${disks[@]}" "$spare"
	grep -q 'replacement device 1' "$tmp/ours" || fail "no replacement: $(cat "$tmp/ours")"
	wipe "${disks[@]}" "$spare"
	quietly mdadm --create "$md" --run --level=5 --raid-devices=4 --chunk=64 --consistency-policy=ppl "${disks[@]}"
	same_words "${disks[@]}"
	give
	array
	quietly ringraid set t sync-max=2000
	quietly ringraid fail t 2
	quietly ringraid add t "$spare"
	sleep 2
	stop
	same_words "${disks[@]}" "$spare"
	for field in 'Recovery Offset' 'Internal Bitmap' PPL 'Bad Block Log'; do
		case $said in *" $field;"*) ;; *) fail "no disk had a $field" ;; esac
	done
}

play story given_up no_room examined
