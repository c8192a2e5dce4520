#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Between a kill -9 and the takeover something happened to the members or to what
# the daemon left. The successor refuses, changes nothing, says what is different,
# and `stop --force` ends the array; or nothing is different, and it serves.
. "${0%/*}/lib.sh"
read -ra ours < <(disks 3)
copies=(/dev/disk3 /dev/disk4 /dev/disk5)
pins=/sys/fs/bpf/ringraid

# not_taken TEXT DISK...: assemble refuses and touches no superblock.
not_taken() {
	local text=$1
	shift
	keep "${ours[@]}" "${copies[@]}"
	refused "$text" timeout 100 ringraid assemble "$@"
	grep -q '^hint: ' "$tmp/log" || { cat "$tmp/log"; fail "no hint what to do"; }
	kept "${ours[@]}" "${copies[@]}"
}

# md_writes DISK...: md takes them, makes parity right, writes $tmp/new at $md_at, in
# chunks of 64 KiB, gives them back.
md_at=16
md_writes() {
	dd if=/dev/urandom of="$tmp/new" bs=64k count=32 status=none
	quietly mdadm --assemble --run "$md" "$@"
	md_idle
	quietly dd if="$tmp/new" of="$md" bs=64k seek="$md_at" oflag=direct conv=fsync status=none
	sleep "${md_pause:-0}" # longer than md takes to find the array at rest
	give
}

# md's data is there, and its parity is right, whoever serves the disks.
md_data_stays() {
	block=$1
	cmp -s -n $((32 << 16)) <(dd if="$block" bs=64k skip="$md_at" count=32 iflag=direct status=none) "$tmp/new" ||
		fail "what md wrote is lost"
}

# md_wins CLIENT: a takeover is refused; given up, the client that waits ends, and the next
# start serves what md left.
md_wins() {
	not_taken 'events' "${ours[@]}"
	quietly ringraid stop --force
	wait "$1" || true
	kept "${ours[@]}"
	again "${ours[@]}"
	state healthy
	md_data_stays "$block"
	stop
	judge "${ours[@]}"
}

# md takes the members of a daemon that died under load.
md_in_between() {
	wipe "${ours[@]}"
	start a "${ours[@]}" --chunk 64K --assume-clean
	fio --name=w --filename="$block" --rw=randwrite --bs=4k --direct=1 --ioengine=libaio --iodepth=16 \
		--size=24m --time_based --runtime=3000 --randrepeat=1 >"$tmp/client" 2>&1 &
	sleep 2
	kill_daemon_wholly
	md_writes "${ours[@]}"
	md_wins $!
}

# The same where nobody wrote for a while: md leaves a clean array with the events that it
# found, and only the time in its superblocks tells.
md_at_rest() {
	local before
	wipe "${ours[@]}"
	start a "${ours[@]}" --chunk 64K --assume-clean --clean-after 0.3
	quietly dd if=/dev/urandom of="$block" bs=64k count=64 oflag=direct conv=fsync status=none
	eventually "the array is at rest" is_clean
	kill_daemon_wholly
	before=$(events_of "${ours[0]}")
	dd if=/dev/urandom of="$block" bs=64k seek="$md_at" count=4 oflag=direct 2>/dev/null &
	md_pause=1 md_writes "${ours[@]}"
	[ "$(events_of "${ours[0]}")" = "$before" ] || say "md left other events: no test of the time"
	md_wins $!
}
events_of() { ringraid --json examine "$1" | jq '.devices[0].events'; }

# One row is in the making at the kill; md writes its neighbour in the same row.
old_row() {
	local i late=() md_at=1
	modprobe dm-delay
	wipe "${ours[@]}"
	for i in 0 1 2; do
		slow late$i "/dev/disk$i" 0 3000 0
		late+=("/dev/mapper/late$i")
	done
	start a "${late[@]}" --chunk 64K --assume-clean --queues 1
	dd if=/dev/urandom of="$block" bs=4k count=1 oflag=direct 2>/dev/null &
	eventually "a row in the making" counts slot_writes 0
	kill_daemon_wholly
	for i in 0 1 2; do slow late$i "/dev/disk$i" 0 0 0; done
	md_writes "${late[@]}"
	not_taken 'events' "${late[@]}"
	quietly ringraid stop --force
	wait $! || true
	take "${late[@]}"
	check "a redo over md's row"
	md_data_stays "$md"
	give
	quietly mdadm --assemble --run "$md" /dev/mapper/late0 /dev/mapper/late2
	md_data_stays "$md"
	give
	for i in 0 1 2; do quietly dmsetup remove late$i; done
}

# A snapshot of every member, older than what a client wrote since.
copies_of_members() {
	local i
	wipe "${ours[@]}" "${copies[@]}"
	start a "${ours[@]}" --chunk 64K --assume-clean
	quietly mkfs.ext4 -q "$block"
	mkdir -p "$tmp/mnt"
	mount "$block" "$tmp/mnt"
	echo old >"$tmp/mnt/file"
	sync
	for i in 0 1 2; do quietly dd if="/dev/disk$i" of="/dev/disk$((i + 3))" bs=1M oflag=direct status=none; done
	echo new >"$tmp/mnt/file"
	dd if=/dev/urandom of="$tmp/mnt/big" bs=1M count=8 status=none
	sync
	(cd "$tmp/mnt" && md5sum file big) >"$tmp/sums"
	kill_daemon
	not_taken 'not the (disk|device|member)|copy|copies|another disk|identity' "${copies[@]}"
	not_taken 'not the (disk|device|member)|copy|copies|another disk|identity|same' /dev/disk0 /dev/disk4 /dev/disk2
	not_taken 'copy|copies|same|both|duplicate' "${ours[@]}" "${copies[@]}"
	again "${ours[@]}"
	state healthy
	echo 3 >/proc/sys/vm/drop_caches
	(cd "$tmp/mnt" && md5sum -c "$tmp/sums" >/dev/null) || fail "the client's files are torn"
	umount "$tmp/mnt"
	quietly e2fsck -fn "$block"
	stop
	# By itself the set of copies is an array; beside the originals it is not.
	not_taken 'copy|copies|same|both|duplicate' "${ours[@]}" "${copies[@]}"
	not_taken 'copy|copies|same|both|duplicate' "${ours[@]}" /dev/disk3
}

# Somebody else made the directory of the pins.
foreign_pins() {
	wipe "${ours[@]}"
	rm -rf "$pins"
	mkdir "$pins"
	chown 65534 "$pins"
	refused "$pins" ringraid create a "${ours[@]}" --chunk 64K --assume-clean
	blank "${ours[@]}"
	rmdir "$pins"
	mkdir -m 777 "$pins"
	refused "$pins" ringraid create a "${ours[@]}" --chunk 64K --assume-clean
	blank "${ours[@]}"
	rmdir "$pins"
	(umask 0 && start a "${ours[@]}" --chunk 64K --assume-clean)
	[ "$(stat -c '%a %u' "$pins")" = "700 0" ] || fail "$pins is for others: $(stat -c '%A %U' "$pins")"
	stop
}

# The pins of two arrays of one shape, exchanged.
exchanged_pins() {
	local a b served
	wipe "${ours[@]}" "${copies[@]}"
	start b "${copies[@]}" --chunk 64K --assume-clean --clean-after 0 # it runs while superblocks are compared
	served=$block
	fill
	start_second a "${ours[@]}" --chunk 64K --assume-clean
	a=$(ringraid --json status a | jq -r .uuid | tr : -)
	b=$(ringraid --json status b | jq -r .uuid | tr : -)
	exchange "$a" "$b"
	kill -9 "$(ringraid --json status a | jq .pid)"
	sleep 0.5
	not_taken 'another array|uuid' "${ours[@]}"
	[ "$(ringraid --json status b | jq -r .state)" = healthy ] || fail "the other array is $(ringraid --json status b | jq -r .state)"
	block=$served
	write_at 1000 64
	read_all "of an array whose pins were exchanged"
	# What it finds under its name at its end is not its own to remove.
	quietly ringraid stop b
	[ -e "$pins/$b/arena" ] || fail "the end of an array took what another's successor needs"
	rm -r "${pins:?}/$a"
	mv "$pins/$b" "$pins/$a"
	timeout 100 ringraid assemble "${ours[@]}" >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "no takeover with the right pins"; }
	! grep -q 'recomputing parity' "$tmp/log" || fail "a resync after the takeover"
	quietly ringraid stop a
	judge "${ours[@]}"
	judge "${copies[@]}"
}

exchange() { mv "$pins/$1" "$pins/x" && mv "$pins/$2" "$pins/$1" && mv "$pins/x" "$pins/$2"; }

# start_second NAME DISK... [OPTION...]: beside one that runs.
start_second() { quietly ringraid create "$@"; }

play md_in_between md_at_rest old_row copies_of_members foreign_pins exchanged_pins
