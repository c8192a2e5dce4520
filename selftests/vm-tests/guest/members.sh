#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Which disks are an array's, when they are not where they were.
. "${0%/*}/lib.sh"
read -ra disks < <(disks 4)
copy=/dev/disk4
last=$(readlink -f "${disks[3]}")
host=$(uname -n)

# events: of the members that are here, to see that nothing was recorded.
events() {
	local d here=()
	for d in "${disks[@]}"; do [ ! -b "$d" ] || here+=("$d"); done
	ringraid --json examine "${here[@]}" | jq -c '[.devices[].events]'
}

# untouched COMMAND...: no member's superblock changes.
untouched() {
	local before
	before=$(events)
	"$@"
	[ "$(events)" = "$before" ] || fail "events were $before, are $(events): $*"
}

# unplug, plug: the last member's disk, out of its slot and back.
slot=$(readlink -f "/sys/class/block/${last#/dev/}/device/device")
unplug() {
	echo 1 >"$slot/remove"
	eventually "the disk is gone" is_unplugged
}
is_unplugged() { [ ! -e "/sys/class/block/${last#/dev/}" ]; }
plug() {
	echo 1 >/sys/bus/pci/rescan
	eventually "the disk is back" test -b "$last"
}

# found COMMAND...: an array is served, healthy. Which engine does not matter here,
# and this one starts faster under emulation.
found() {
	quietly timeout 300 ringraid "$@" --engine user
	block=$(st block_device)
	state healthy
}

# device ROLE: by which name it is served.
device() { st "members[$1].device"; }

# map NAME SECTORS DEVICE: a map of its first sectors.
map() {
	modprobe dm-mod
	quietly dmsetup create "$1" --table "0 $2 linear $3 0"
	dmsetup mknodes "$1"
}

late() {
	unplug
	untouched refused 'role 3 of 4 is missing' ringraid assemble "${disks[@]:0:3}"
	untouched refused 'role 3 of 4 is missing' ringraid assemble "${disks[@]}"
	grep -q '^hint: .*--degraded.*cannot find /dev/disk3' "$tmp/log" || { cat "$tmp/log"; fail "no hint what is missing"; }
	untouched refused 'role 3 of 4 is missing' ringraid assemble --name t --wait 0
	untouched refused 'role 3 of 4 is missing' ringraid assemble --uuid "$uuid" --wait 1
	(sleep 3; plug) &
	found assemble --scan
	wait $!
	stop
	unplug
	(sleep 3; plug) &
	found assemble "${disks[@]}" --wait 60
	wait $!
	stop
	found assemble "${disks[@]}" /dev/nowhere
	stop
}

# Nobody can be asked at boot: a clean array starts in the end.
gone() {
	unplug
	quietly timeout 300 ringraid assemble --scan --wait 1 --engine user
	grep -q 'did not come' "$tmp/log" || { cat "$tmp/log"; fail "does not say that a member did not come"; }
	block=$(st block_device)
	state degraded
	write_at 100 8
	stop
	# It is known to be out: nothing is waited for, or this never ends.
	timeout 300 ringraid assemble --name t --wait 10000 --engine user >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "assemble --name"; }
	block=$(st block_device)
	state degraded
	plug
	names
	stop
}

# All names of a member lead to it: of a degraded array nothing else can be failed,
# and the answer tells whether the member was known.
names() {
	local name disk=${disks[1]} kernel
	kernel=$(readlink -f "$disk")
	mkdir -p "$tmp/by-id"
	ln -sf "$disk" "$tmp/by-id/link"
	for name in 1 "$disk" "$kernel" "${kernel#/dev/}" "$(cat "/sys/class/block/${kernel#/dev/}/dev")" "$tmp/by-id/link"; do
		refused 'another member is out' ringraid fail t "$name"
	done
	(cd "$tmp/by-id" && refused 'another member is out' ringraid fail t link)
	(cd /dev && refused 'another member is out' ringraid fail t "./${kernel#/dev/}")
	for name in "$copy" /dev/nowhere 7 99:99; do
		refused 'not a member' ringraid fail t "$name"
	done
}

read_only() {
	blockdev --setro "${disks[1]}"
	untouched refused 'read-only' ringraid assemble "${disks[@]}"
	grep -q '^hint: .*blockdev --setrw' "$tmp/log" || fail "no hint how to make it writable"
	untouched refused 'read-only' ringraid assemble "${disks[@]}" --degraded
	untouched refused 'read-only' ringraid assemble --scan --wait 0
	wipe "$copy"
	blockdev --setro "$copy"
	refused 'read-only' ringraid create u "$copy" /dev/disk5 "${disks[0]}"
	blockdev --setrw "$copy" "${disks[1]}"
	found assemble "${disks[@]}"
	stop
}

copies() {
	dd if="${disks[1]}" of="$copy" bs=1M oflag=direct status=none
	local how
	for how in "${disks[*]} $copy" "$copy ${disks[*]}" --scan "--uuid $uuid" '--name t'; do
		# shellcheck disable=SC2086
		untouched refused 'both have the device uuid' ringraid assemble $how
		# By the kernel's names where it was found, by the given ones else.
		[ "$(grep -cE "($copy|$(readlink -f $copy)) .*and|and ($copy|$(readlink -f $copy)) " "$tmp/log")" = 1 ] ||
			{ cat "$tmp/log"; fail "the copy is not named"; }
	done
	# The original moves on: an old copy, beside it and in its place.
	found assemble "${disks[@]}"
	write_at 200 8
	stop
	untouched refused 'both have the device uuid' ringraid assemble "${disks[@]}" "$copy"
	untouched refused 'both have the device uuid' ringraid assemble --scan
	untouched refused 'role 1 of 4 is missing' ringraid assemble "${disks[0]}" "$copy" "${disks[2]}" "${disks[3]}"
	wipe "$copy"
}

stacked() {
	map top "$(blockdev --getsz "${disks[1]}")" "${disks[1]}"
	found assemble --name t
	[ "$(device 1)" = /dev/mapper/top ] || fail "role 1 is $(device 1), not the map"
	stop
	untouched refused 'in use' ringraid assemble "${disks[@]}"
	untouched refused 'in use' ringraid assemble "${disks[@]}" --degraded
	found assemble --scan
	# What runs is left alone; its device, and a map on it, are not read when it is dead.
	quietly timeout 100 ringraid assemble --scan
	grep -q 'being served' "$tmp/log" || { cat "$tmp/log"; fail "does not say that it is being served"; }
	map above 1024 "$block"
	kill_daemon_wholly
	refused 'no device holds' timeout 100 ringraid assemble --name nothing
	grep -q "above .*left alone" "$tmp/log" || { cat "$tmp/log"; fail "a map on a dead device was read"; }
	found assemble --scan
	dmsetup remove above
	stop
	dmsetup remove top
}

hosts() {
	echo away >/proc/sys/kernel/hostname
	untouched quietly ringraid assemble --scan
	grep -q "another host's; --any-host" "$tmp/log" || { cat "$tmp/log"; fail "does not say that it is another host's"; }
	[ "$(st state)" = null ] || [ -z "$(st state)" ] || fail "another host's array was started"
	for how in '--scan --any-host' "--scan --homehost $host" '--name t'; do
		# shellcheck disable=SC2086
		found assemble $how
		stop
	done
	echo "$host" >/proc/sys/kernel/hostname
}

# Not one disk is there yet, when it is asked for.
all_late() {
	local how i
	for how in "--uuid $uuid" '--name t' '--scan --wait 100'; do
		for i in 0 1 2 3; do detach "/dev/disk$i"; done
		(sleep 3; echo 1 >/sys/bus/pci/rescan) &
		# shellcheck disable=SC2086
		found assemble $how
		wait $!
		attach
		stop
	done
	last=$(readlink -f "${disks[3]}")
	slot=$(readlink -f "/sys/class/block/${last#/dev/}/device/device")
}

# One disk by two paths is no two members.
two_paths() {
	local i
	wipe "$copy" /dev/disk5
	for i in one two; do map $i 16384 "$copy"; done
	refused 'the same disk' ringraid create u /dev/mapper/one /dev/mapper/two /dev/disk5
	for i in "$copy" /dev/disk5; do
		[ "$(ringraid --json examine "$i" 2>/dev/null | jq -r '.devices[0].uuid // empty')" = '' ] || fail "$i has a superblock"
	done
	quietly dmsetup remove one two
}

# A disk that is there and in use is not lost: nothing is started without it, cold or
# after a death.
in_use() {
	local served
	modprobe dm-mod
	# Who takes over waits for a minute and a half: it might be the dead daemon's I/O.
	for served in no $(is_full && echo dead); do
		if [ "$served" = dead ]; then
			again "${disks[@]}"
			kill_daemon_wholly
		fi
		quietly dmsetup create part --table "0 1000 linear $last 8192"
		refused 'in use|is a part of' timeout 200 ringraid assemble --scan --wait 1 --any-host
		quietly dmsetup remove part
		again "${disks[@]}"
		state healthy
		stop
	done
}

kinds() {
	modprobe null_blk nr_devices=1 zoned=1 zone_size=4 gb=1
	eventually 'the zoned disk is there' test -b /dev/nullb0
	wipe "$copy" /dev/disk5
	refused 'zoned device' ringraid create u "$copy" /dev/disk5 /dev/nullb0
	[ "$(ringraid --json examine "$copy" 2>/dev/null | jq -r '.devices[0].uuid // empty')" = '' ] ||
		fail "superblocks were written beside a disk that was refused"
}

wipe "${disks[@]}" "$copy"
start t "${disks[@]}" --chunk 64K --assume-clean --engine user
fill
uuid=$(st uuid)
stop
play late all_late stacked hosts copies two_paths in_use read_only kinds gone
