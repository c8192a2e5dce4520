#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What belongs to which array, when numbers, names and files do not say it any more.
. "${0%/*}/lib.sh"
read -ra first < <(disks 3)
second=(/dev/disk3 /dev/disk4 /dev/disk5)

uuid_of() { ringraid --json examine "$1" | jq -r '.devices[0].uuid'; }

# delete DEVICE: from outside, whoever serves it.
delete() { quietly "${0%/*}/../ublk_del" "${1#/dev/ublkb}"; }

# of ARRAY FIELD: as st, of one of several.
of() { (ringraid --json status "$1" 2>/dev/null || true) | jq -r ".$2"; }

# A is dead and its device is gone; B has the number and the name now.
number_and_name_of_another() {
	local a b
	wipe "${first[@]}" "${second[@]}"
	start n "${first[@]}" --chunk 64K --assume-clean
	fill
	a=$(uuid_of "${first[0]}")
	kill_daemon_wholly
	delete "$block"
	quietly ringraid create n "${second[@]}" --chunk 64K --assume-clean
	b=$(uuid_of "${second[0]}")
	[ "$(of "$b" block_device)" = "$block" ] || fail "B is $(of "$b" block_device), not $block: nothing to test"
	quietly mkfs.ext4 -q -F "$block"
	mkdir -p "$tmp/mnt"
	mount "$block" "$tmp/mnt"
	echo hello >"$tmp/mnt/file"
	sync
	timeout 100 ringraid stop --force "$a" >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "stop --force of the dead one"; }
	[ -b "$block" ] || fail "stop --force of a dead array took another's device"
	echo more >"$tmp/mnt/more"
	sync -f "$tmp/mnt/more" || fail "a write of another array's client"
	[ "$(of "$b" state)" = healthy ] || fail "the other array is $(of "$b" state)"
	[ "$(readlink /dev/ringraid/n)" = "$block" ] || fail "another array's link is gone"
	# Assembling the dead one leaves the other alone, too.
	timeout 100 ringraid assemble "${first[@]}" >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "assemble of the dead one"; }
	[ "$(readlink /dev/ringraid/n)" = "$block" ] || fail "another array's link was taken"
	umount "$tmp/mnt"
	quietly e2fsck -fn "$block"
	quietly ringraid stop "$b"
	block=$(of "$a" block_device)
	read_all "of the array that was dead"
	quietly ringraid stop "$a"
	judge "${first[@]}"
	judge "${second[@]}"
}

# A is dead and its device is gone; B, of another name, has the number. A's link must lead
# nobody to B.
link_of_a_dead_one() {
	local a had
	wipe "${first[@]}" "${second[@]}"
	start a "${first[@]}" --chunk 64K --assume-clean
	a=$(uuid_of "${first[0]}")
	kill_daemon_wholly
	delete "$block"
	had=$block
	quietly ringraid create b "${second[@]}" --chunk 64K --assume-clean
	block=$(of b block_device)
	[ "$block" = "$had" ] || fail "B is $block, not $had: nothing to test"
	[ "$(readlink /dev/ringraid/b)" = "$block" ] || fail "B has no link"
	[ "$(readlink /dev/ringraid/a)" != "$block" ] || fail "A's link leads to B"
	quietly ringraid stop b
	# Without another array it goes with what the dead one left.
	again "${first[@]}"
	kill_daemon_wholly
	delete "$block"
	[ -L /dev/ringraid/a ] || fail "no link: nothing to test"
	quietly timeout 100 ringraid stop --force "$a"
	[ ! -L /dev/ringraid/a ] || fail "the link of a dead one is left"
	judge "${first[@]}"
}

is_life() { [ "$(st life)" = "$1" ]; }

# The device of a living daemon is deleted.
deleted_under_the_daemon() {
	local pid log
	wipe "${first[@]}"
	start t "${first[@]}" --chunk 64K --assume-clean
	fill
	pid=$(st pid)
	log=/run/ringraid/$(st uuid | tr : -)/log
	cp "$log" "$tmp/before"
	delete "$block"
	eventually "status notices that the device is gone" is_life 'device gone'
	{ cat "$log" 2>/dev/null || true; } | tail -c +$(($(stat -c %s "$tmp/before") + 1)) | grep -q . || fail "nothing in the log about it"
	# It may end by itself.
	timeout 100 ringraid stop >"$tmp/log" 2>&1 || is_dead "$pid" || { cat "$tmp/log"; fail "stop without a device"; }
	eventually "the end of the daemon" is_dead "$pid"
	for d in "${first[@]}"; do
		[ "$(ringraid --json examine "$d" | jq '.devices[0].clean')" = true ] || fail "$d is dirty after the stop"
	done
	again "${first[@]}"
	state healthy
	read_all "after the device was deleted"
	stop
	judge "${first[@]}"
}

# taken_over HOW...: by assemble, with the same device and no error for the client.
taken_over() {
	local old=$block
	timeout 100 ringraid assemble "$@" >"$tmp/assemble" 2>&1 || { cat "$tmp/assemble"; fail "nobody took over"; }
	! grep -q 'recomputing parity' "$tmp/assemble" || fail "a resync after kill -9"
	block=$(st block_device)
	[ "$block" = "$old" ] || fail "the successor serves $block, not $old"
	state healthy
}

# The run directory is lost with a daemon that died; the pins are there.
run_directory_lost() {
	wipe "${first[@]}"
	start t "${first[@]}" --chunk 64K --assume-clean
	fill
	background lost --size=4m --offset=32m --offset_increment=4m
	sleep 1
	kill_daemon
	rm -rf /run/ringraid
	taken_over "${first[@]}"
	sleep 1
	end_clients
	# Again, and given up this time.
	write_at 1000 64
	kill_daemon
	rm -rf /run/ringraid
	timeout 100 ringraid stop --force >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "stop --force"; }
	grep -q 'members are clean' "$tmp/log" || { cat "$tmp/log"; fail "the members are not made clean"; }
	again "${first[@]}"
	! grep -q 'recomputing parity' "$tmp/log" || fail "a resync after stop --force"
	state healthy
	stop
	judge "${first[@]}"
}

# The run directory is lost under a living daemon: no command may take it for dead.
run_directory_cleared() {
	local engine pid
	for engine in bpf user; do
		wipe "${first[@]}"
		start t "${first[@]}" --chunk 64K --assume-clean --engine $engine
		fill
		pid=$(st pid)
		rm -rf /run/ringraid
		ringraid status >"$tmp/said" 2>&1 || true
		! grep -q 'is dead' "$tmp/said" || { cat "$tmp/said"; fail "a living daemon is said to be dead"; }
		eventually "the daemon makes its files again" is_state healthy
		[ "$(st pid)" = "$pid" ] || fail "another daemon answers"
		grep -q 'were lost' /run/ringraid/*/log || fail "nothing in the log about it"
		refused 'being served' timeout 100 ringraid assemble "${first[@]}"
		read_all "after the files were lost"
		stop
		judge "${first[@]}"
	done
}

# The pins are lost, the run directory is there: which rows were in the making is
# not known, so nobody takes over, but the array can be ended and started.
pins_lost() {
	wipe "${first[@]}"
	start t "${first[@]}" --chunk 64K --assume-clean
	fill
	kill_daemon_wholly
	rm -rf /sys/fs/bpf/ringraid
	keep "${first[@]}"
	refused 'arena' timeout 100 ringraid assemble "${first[@]}"
	grep -qE '^hint: .*(stop --force|--force-new)' "$tmp/log" || { cat "$tmp/log"; fail "no hint how to end it"; }
	kept "${first[@]}"
	quietly timeout 100 ringraid stop --force
	[ ! -e "$block" ] || fail "$block is still there"
	again "${first[@]}"
	state healthy
	read_all "after the pins were lost"
	stop
	judge "${first[@]}"
}

# A living daemon notices that its pins were removed, and can be succeeded.
pins_cleared() {
	local u
	wipe "${first[@]}"
	start t "${first[@]}" --chunk 64K --assume-clean
	fill
	u=$(st uuid | tr : -)
	rm -rf /sys/fs/bpf/ringraid
	eventually "the arena is pinned again" test -e "/sys/fs/bpf/ringraid/$u/arena"
	kill_daemon
	again "${first[@]}"
	state healthy
	read_all "after the pins were cleared"
	stop
	judge "${first[@]}"
}

# Pins that a death in the last moments left behind are no obstacle.
pins_left() {
	local u pins=/sys/fs/bpf/ringraid
	wipe "${first[@]}"
	start t "${first[@]}" --chunk 64K --assume-clean
	fill
	u=$(st uuid | tr : -)
	kill_daemon_wholly
	delete "$block"
	rm -rf /run/ringraid
	[ -n "$(ls "$pins/$u")" ] || fail "no pins are left: nothing to test"
	timeout 100 ringraid assemble "${first[@]}" >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "pins that are left stop the start"; }
	! grep -q 'recomputing parity' "$tmp/log" || fail "a resync, though nothing was in flight"
	block=$(st block_device)
	state healthy
	read_all "with pins that were left"
	stop
	[ ! -e "$pins/$u" ] || fail "pins are left after a clean stop: $(ls -R "$pins")"
	judge "${first[@]}"
}

# left_by_the_user_engine OPTION...: dead, without a device, as the machine's restart leaves
# it where /run is on a disk; $arena has the name of that boot.
left_by_the_user_engine() {
	wipe "${first[@]}"
	start t "${first[@]}" --chunk 64K --assume-clean --engine user --size 4M --consistency bitmap
	fill
	[ $# -eq 0 ] || quietly ringraid "$@"
	write_at 1000 64
	kill_daemon_wholly
	delete "$block"
	arena=$(echo /run/ringraid/*/arena*)
	[ -f "$arena" ] || fail "no arena: $arena"
}

# earlier HOW: it is of an earlier boot; torn, or another version's, or of a version that
# did not say of which boot it was.
earlier() {
	local before=${arena%/*}/arena-00000000-0000-4000-8000-000000000000
	mv "$arena" "$before"
	case $1 in
	torn) truncate -s 5000 "$before" ;;
	version) printf '\377' | dd of="$before" bs=1 seek=8 conv=notrunc status=none ;;
	nameless) : >"${before%/*}/arena" && rm "$before" ;;
	esac
}

# An arena that outlived the machine is none, whatever it is like: the superblocks tell.
arena_of_an_earlier_boot() {
	local how arena
	for how in nameless torn version; do
		left_by_the_user_engine
		earlier $how
		timeout 100 ringraid assemble "${first[@]}" >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "an arena ($how) of an earlier boot stops the start"; }
		grep -q 'recomputing parity' "$tmp/log" || { cat "$tmp/log"; fail "no resync of a dirty array"; }
		block=$(st block_device)
		state healthy
		read_all "with an arena ($how) of an earlier boot"
		stop
		[ -z "$(find /run/ringraid -name 'arena*')" ] || fail "it is still there"
	done
	judge "${first[@]}"
	left_by_the_user_engine fail t 1
	earlier torn
	refused 'not stopped cleanly' timeout 100 ringraid assemble "${first[@]}"
	again --force "${first[@]}"
	stop
}

# One of this boot may be all that knows what was in the making: it is asked for.
arena_of_this_boot() {
	local arena
	left_by_the_user_engine
	truncate -s 5000 "$arena"
	keep "${first[@]}"
	refused 'cannot be succeeded' timeout 100 ringraid assemble "${first[@]}"
	grep -q '^hint: .*stop --force' "$tmp/log" || { cat "$tmp/log"; fail "no hint how to end it"; }
	kept "${first[@]}"
	quietly timeout 100 ringraid stop --force t
	again "${first[@]}"
	stop

	left_by_the_user_engine
	printf '\377' | dd of="$arena" bs=1 seek=8 conv=notrunc status=none
	keep "${first[@]}"
	refused 'version' timeout 100 ringraid assemble "${first[@]}"
	grep -q '^hint: .*stop --force --give-up' "$tmp/log" || { cat "$tmp/log"; fail "no hint how to end it"; }
	kept "${first[@]}"
	quietly timeout 100 ringraid stop --force --give-up t
	again "${first[@]}"
	stop
}

play number_and_name_of_another link_of_a_dead_one deleted_under_the_daemon run_directory_lost run_directory_cleared pins_lost \
	pins_cleared pins_left arena_of_an_earlier_boot arena_of_this_boot
