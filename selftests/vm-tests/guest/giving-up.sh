#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# An array without member 1 dies while a row is in the making, and the row's parity
# never comes: what member 1 holds in that row, and nobody wrote, is known to the arena
# alone. Whoever ends the dead daemon's service must write the row again first.
. "${0%/*}/lib.sh"
read -ra disks < <(disks 4)
late=(/dev/mapper/late0 /dev/mapper/late1 /dev/mapper/late2 /dev/mapper/late3)
rest=("${late[0]}" "${late[2]}" "${late[3]}")
modprobe dm-delay
for i in 0 1 2 3; do
	quietly dmsetup create "under$i" --table "0 $(blockdev --getsz "/dev/disk$i") linear $(readlink -f "/dev/disk$i") 0"
	quietly dmsetup mknodes "under$i"
	slow "late$i" "/dev/mapper/under$i" 0 0 0
done

# under TARGET [ROLE]: what is below member 3 from now on; for the I/O that is delayed, too.
under() {
	local n=${2:-3}
	quietly dmsetup load "under$n" --table "0 $(blockdev --getsz "/dev/disk$n") $1"
	quietly dmsetup suspend --nolockfs "under$n"
	quietly dmsetup resume "under$n"
}

# half MODE [MEMBER...]: members 2 and 3 take no writes, or all again.
half() {
	local n mode=$1
	shift
	[ $# -ne 0 ] || set -- 2 3
	for n in "$@"; do
		case $mode in
		broken) under "flakey $(readlink -f "/dev/disk$n") 0 0 1000 1 error_writes" "$n" ;;
		mended) under "linear $(readlink -f "/dev/disk$n") 0" "$n" ;;
		esac
	done
}

# cut_off HEALTH: $tmp/good is the chunk that nobody writes; the daemon is dead, and a
# client waits.
cut_off() {
	local before
	wipe "${disks[@]}"
	# A log would make right what is torn here.
	start t "${late[@]}" --chunk 64K --assume-clean --engine user --queues 1 --consistency bitmap
	quietly dd if=/dev/urandom of="$block" bs=64k count=12 oflag=direct status=none
	dd if="$block" of="$tmp/good" bs=64k skip=1 count=1 iflag=direct status=none
	[ "$1" = healthy ] || quietly ringraid fail t 1
	slow late3 /dev/mapper/under3 0 30000 0
	before=$(counter slot_writes)
	dd if=/dev/urandom of="$block" bs=4k count=1 oflag=direct 2>/dev/null &
	client=$!
	eventually "a row in the making" counts slot_writes "$before"
	kill_daemon
	under error
	slow late3 /dev/mapper/under3 0 0 0
	under "linear $(readlink -f /dev/disk3) 0"
}

# chunk_is_right: and md says so of the members.
chunk_is_right() {
	dd if="$block" of="$tmp/now" bs=64k skip=1 count=1 iflag=direct status=none
	same "$tmp/good" "$tmp/now" "a chunk that nobody wrote, $*"
	wait "$client" || true
	stop
}

# The control: nobody knows the row, and the chunk is wrong.
without_the_arena() {
	cut_off degraded
	rm /run/ringraid/*/arena-*
	quietly timeout 100 ringraid stop --force t
	again "${rest[@]}" --force --engine user
	dd if="$block" of="$tmp/now" bs=64k skip=1 count=1 iflag=direct status=none
	! cmp -s "$tmp/good" "$tmp/now" || fail "the chunk is right without the redo: this tests nothing"
	wait "$client" || true
	stop
}

by_takeover() {
	cut_off degraded
	again "${rest[@]}"
	chunk_is_right "after a takeover"
}

by_stop_force() {
	cut_off degraded
	timeout 100 ringraid stop --force t >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "stop --force"; }
	grep -q 'members are clean' "$tmp/log" || { cat "$tmp/log"; fail "members are not said to be clean"; }
	again "${rest[@]}" --engine user
	chunk_is_right "after stop --force"
}

by_force_new() {
	cut_off degraded
	again "${rest[@]}" --force-new --engine user
	chunk_is_right "after --force-new"
}

# A new start that would be refused gives nothing up.
force_new_refused() {
	cut_off degraded
	quietly dmsetup remove late0
	refused 'nothing was changed|member' timeout 100 ringraid assemble "${late[2]}" "${late[3]}" --force-new --engine user
	kill -0 "$client" || fail "the client had its error"
	slow late0 /dev/mapper/under0 0 0 0
	again "${rest[@]}"
	chunk_is_right "after a --force-new that was refused"
}

# Nor when what the dead daemon left has been overtaken by md.
stale_force_new_refused() {
	cut_off degraded
	eventually "md has the members" mdadm --assemble --force --run "$md" "${rest[@]}"
	quietly dd if=/dev/urandom of="$md" bs=4k count=1 seek=1000 oflag=direct status=none
	give
	refused 'cannot be succeeded' timeout 100 ringraid assemble "${rest[@]}"
	refused 'the new start would be refused' timeout 100 ringraid assemble "${late[0]}" "${late[2]}" --force-new --engine user
	kill -0 "$client" || fail "the client had its error"
	again "${rest[@]}" --force-new --engine user
	! wait "$client" || fail "the client had no error"
	stop
}

# md has gone on without a member: nobody asks for that one, as nothing that is left fits.
overtaken_without_a_member() {
	cut_off healthy
	eventually "md has the members" mdadm --assemble --force --run "$md" "${late[@]}"
	# Without the member it could not be told later what was not resynced.
	eventually "md ends its resync" grep -qx none "/sys/block/${md#/dev/}/md/resync_start"
	quietly mdadm "$md" --fail "${late[1]}"
	quietly dd if=/dev/urandom of="$md" bs=4k count=1 seek=1000 oflag=direct status=none
	give
	refused 'cannot be succeeded' timeout 100 ringraid assemble "${late[@]}"
	kill -0 "$client" || fail "the client had its error"
	timeout 100 ringraid stop --force t >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "what is overtaken is not ended"; }
	! wait "$client" || fail "the client had no error"
	again "${rest[@]}" --engine user
	state degraded
	stop
}

# An arena of another version: who reads it ends it, or it is given up in so many words.
of_another_version() {
	local arena
	cut_off degraded
	arena=$(echo /run/ringraid/*/arena-*)
	dd if="$arena" of="$tmp/version" bs=1 skip=8 count=1 status=none
	printf '\377' | dd of="$arena" bs=1 seek=8 conv=notrunc status=none
	refused 'version' timeout 100 ringraid stop --force t
	refused 'version' timeout 100 ringraid assemble "${rest[@]}"
	dd if="$tmp/version" of="$arena" bs=1 seek=8 conv=notrunc status=none
	again "${rest[@]}"
	chunk_is_right "after another version had looked"
}

# A disk that takes no writes for a moment: whoever tries meanwhile leaves all for the
# next one, who ends it well.
unwell_for_a_moment() {
	local how
	for how in stop force_new takeover; do
		cut_off degraded
		under "flakey $(readlink -f /dev/disk3) 0 0 1000 1 error_writes"
		case $how in
		stop)
			refused '--give-up' timeout 100 ringraid stop --force t
			refused '--give-up' timeout 100 ringraid stop --force t
			;;
		force_new) refused 'take no writes' timeout 100 ringraid assemble "${rest[@]}" --force-new --engine user ;;
		takeover)
			refused 'nothing is lost so far' timeout 100 ringraid assemble "${rest[@]}"
			kill -0 "$client" || fail "the client had its error"
			;;
		esac
		under "linear $(readlink -f /dev/disk3) 0"
		if [ $how = stop ]; then quietly timeout 100 ringraid stop --force t; fi
		again "${rest[@]}" --engine user
		chunk_is_right "after a disk was unwell at the $how"
	done
}

# Two members let down a start, or an array that was at rest: nothing was written since
# that they missed, so all is there once they take writes.
half_takes_no_writes() {
	local i
	wipe "${disks[@]}"
	start t "${late[@]}" --chunk 64K --assume-clean --size 4M
	fill
	stop
	half broken
	for i in 1 2; do refused 'two members are missing or take no writes' timeout 100 ringraid assemble "${late[@]}"; done
	half mended
	again --clean-after 0.3 "${late[@]}"
	state healthy
	read_all "after two starts that failed"
	quietly ringraid wait t
	eventually "the array is at rest" is_clean
	half broken
	! dd if="$tmp/ref" of="$block" bs=4k count=1 oflag=direct 2>/dev/null || fail "a write with half of the members"
	timeout 100 ringraid stop t >"$tmp/log" 2>&1 || true
	half mended
	again "${late[@]}"
	state healthy
	read_all "after two members took no writes"
	stop
	judge "${late[@]}"
}

# One that takes no writes is out, and the array starts without it.
one_takes_no_writes() {
	wipe "${disks[@]}"
	start t "${late[@]}" --chunk 64K --assume-clean --size 4M
	fill
	stop
	half broken 2
	again "${late[@]}"
	half mended 2
	state degraded
	[ "$(st 'members[2].state')" != active ] || fail "member 2 is active"
	read_all "without a member that takes no writes"
	stop
	again "${late[@]}"
	state degraded
	stop
}

# A member that cannot be had now: it is asked for, and whoever names the others does
# without it.
read_only_since() {
	cut_off healthy
	blockdev --setro "${late[1]}"
	refused 'read-only' timeout 100 ringraid assemble "${late[@]}"
	refused 'read-only' timeout 100 ringraid stop --force t
	grep -q '^hint: nothing was changed.*--give-up' "$tmp/log" || { cat "$tmp/log"; fail "no hint how to end it"; }
	kill -0 "$client" || fail "the client had its error"
	again "${rest[@]}" --degraded
	state degraded
	chunk_is_right "with the other members"
	blockdev --setrw "${late[1]}"
}

# The array counts on a member that is not there: nobody throws it out unasked.
late_at_stop_force() {
	cut_off healthy
	quietly dmsetup remove late1
	refused 'member 1 .*is not there' timeout 100 ringraid stop --force t
	kill -0 "$client" || fail "the client had its error"
	timeout 100 ringraid stop --force t --degraded >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "stop --force --degraded"; }
	grep -q 'without member 1' "$tmp/log" || { cat "$tmp/log"; fail "does not say that member 1 is out"; }
	again "${rest[@]}" --engine user
	state degraded
	chunk_is_right "after stop --force --degraded"
	slow late1 /dev/mapper/under1 0 0 0
}

given_up() {
	cut_off healthy
	quietly dmsetup remove late1
	quietly timeout 100 ringraid stop --force t --give-up
	wait "$client" && fail "the client had no error"
	slow late1 /dev/mapper/under1 0 0 0
	timeout 100 ringraid assemble "${late[@]}" --engine user >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "not started"; }
	grep -q 'recomputing parity' "$tmp/log" || fail "no resync of an array that was given up"
	state healthy
	stop
	judge "${late[@]}"
}

# A disk that was away between the daemon's death and the takeover may have lost what
# it had acknowledged. Here it has.
away() {
	local offset
	for i in 0 1 2 3; do quietly dmsetup remove "late$i" "under$i"; done
	wipe "${disks[@]}"
	start t "${disks[@]}" --chunk 64K --assume-clean --engine user --queues 1 --consistency bitmap
	fill
	offset=$(ringraid --json examine /dev/disk2 | jq '.devices[0].data_offset_bytes')
	dd if=/dev/disk2 of="$tmp/old" bs=64k count=1 iflag=direct,skip_bytes skip="$offset" status=none
	write_at 256 128 # chunk 2 of row 0, which is on disk 2
	kill_daemon_wholly
	detach /dev/disk2
	attach
	dd if="$tmp/old" of=/dev/disk2 bs=64k count=1 oflag=direct,seek_bytes seek="$offset" conv=notrunc status=none
	refused 'member 2 .*detached' timeout 100 ringraid assemble "${disks[@]}"
	refused 'member 2 .*detached' timeout 100 ringraid stop --force t
	again "${disks[@]}" --degraded
	state degraded
	read_all "after a disk was away"
	stop
	take_degraded /dev/disk0 /dev/disk1 /dev/disk3
	block=$md
	read_all "by md"
	give
}

take_turns without_the_arena by_takeover by_stop_force by_force_new force_new_refused stale_force_new_refused \
	overtaken_without_a_member of_another_version unwell_for_a_moment half_takes_no_writes one_takes_no_writes read_only_since late_at_stop_force given_up away
