#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Disks 0 to 3 are the array, 4 the new one, 5 another; 6 to 10 keep what a power cut left.
. "${0%/*}/lib.sh"
read -ra disks < <(disks 4)
new=/dev/disk4
taken=(/dev/disk0 "$new" /dev/disk2 /dev/disk3) # the members, once 1 is replaced

# array [OPTION...]: made, full of known data. With room for busy: BUSY=1.
array() {
	local size=16M
	[ -z "${BUSY:-}" ] || size=28M
	wipe "${disks[@]}" "$new" /dev/disk5
	start t "${disks[@]}" --chunk 64K --assume-clean --size "$size" "$@"
	fill
}

is_member() { [ "$(st 'members[1].device')" = "$1" ] && is_idle; }
is_replacing() { [ "$(job kind)" = replace ]; }
is_let_go() { [ "$(st 'members[1].replacement')" = null ] && is_idle; }

# slowly: it takes its time.
slowly() {
	quietly ringraid set t sync-max=2000
	quietly ringraid replace t 1 --with "$new"
	eventually "it is under way" is_past 20
}

# replaced: the new device is the member, the old one is free, and md finds all right.
replaced() {
	quietly timeout 300 ringraid wait t
	is_member "$new" || fail "$new is not member 1"
	state healthy
	read_all "after the replacement"
	quietly mkfs.ext4 -qF /dev/disk1
	no_stream
	stop
	judge "${taken[@]}"
}

# Clients see nothing of it, nor of the loss of another member afterwards.
under_load() {
	local engine writes
	for engine in $(engines); do
		BUSY=1 array --engine "$engine"
		busy
		quietly ringraid replace t /dev/disk1 --with "$new"
		is_state healthy || fail "the array is not redundant meanwhile"
		quietly timeout 300 ringraid wait t
		is_member "$new" || fail "$new is not member 1"
		writes=$(counter writes)
		eventually "clients go on" counts writes $((writes + 20))
		end_clients
		if [ "$(told RebuildStarted)" != 1 ] || [ "$(told SpareActive)" != 1 ]; then fail "no event tells of it"; fi
		quietly ringraid fail t 2
		dd if="$block" bs=1M count=32 iflag=direct status=none | cmp -s - <(head -c 33554432 "$tmp/ref") || fail "the new member holds wrong data"
		quietly ringraid add t /dev/disk5 # disk1 is free, disk2 let go
		quietly timeout 300 ringraid wait t
		no_stream
		stop
		judge /dev/disk0 "$new" /dev/disk5 /dev/disk3
	done
}

# A spare is taken where no device is named; it has the bitmap's bits, and what it has to.
by_a_spare() {
	array
	refused "no spare" ringraid replace t 1
	refused "not a member" ringraid replace t /dev/disk9 --with "$new"
	quietly mkfs.ext4 -q "$new"
	refused "holds" ringraid replace t 1 --with "$new"
	wipe "$new"
	quietly ringraid add t "$new"
	quietly ringraid replace t 1 --wait
	is_member "$new" || fail "$new is not member 1"
	quietly ringraid set t sync-max=1000
	quietly ringraid replace t 0 --with /dev/disk5
	refused "being replaced" ringraid replace t 2 --with /dev/disk1
	quietly ringraid cancel t
	eventually "it is a spare" is_let_go
	eventually "it is a spare" test "$(st 'spares[0].device')" = /dev/disk5
	quietly ringraid set t sync-max=0
	quietly ringraid fail t 1
	eventually "the spare takes over" is_member /dev/disk5
	wipe "$new"
	quietly ringraid add t "$new"
	quietly ringraid replace t 1 --with "$new" --wait # by name
	is_member "$new" || fail "$new is not member 1"
	[ "$(st 'spares | length')" = 0 ] || fail "it is a spare as well"
	quietly ringraid replace t 1 --with /dev/disk1 --wait --force
	state healthy
	read_all "after four changes"
	stop
	judge "${disks[@]}"
}

# Stopped at half: the next start goes on there, and so does md; what md began we finish.
stopped() {
	array
	halfway
	write_at 640 256
	stop
	[ "$(mdadm -E "$new" | sed -n 's/ *Device Role : //p')" = "Replacement device 1" ] || { mdadm -E "$new"; fail "md sees no replacement"; }
	[ $(($(mdadm -E "$new" | sed -n 's/ *Recovery Offset : \([0-9]*\) .*/\1/p'))) -gt 2048 ] || { mdadm -E "$new"; fail "nothing is kept of it"; }
	again "${disks[@]}" "$new"
	[ "$(job from_sector)" -gt 2048 ] 2>/dev/null || is_idle || fail "it begins anew"
	replaced
	array
	halfway
	write_at 640 256
	stop
	quietly mdadm --assemble "$md" "${disks[@]}" "$new"
	md_idle
	eventually "md has replaced it" md_has_replaced
	check
	give
	again "${taken[@]}"
	read_all "after md has replaced it"
	stop
	# The reverse.
	take "${taken[@]}"
	echo 500 >/sys/block/md0/md/sync_speed_max
	quietly mdadm "$md" --add /dev/disk5
	quietly mdadm "$md" --replace "$new" --with /dev/disk5
	eventually "md replaces" grep -q recovery /proc/mdstat
	sleep 4
	give
	again "${taken[@]}" /dev/disk5
	quietly timeout 300 ringraid wait t
	is_member /dev/disk5 || fail "what md began is not ended"
	read_all "after what md began"
	stop
	judge /dev/disk0 /dev/disk5 /dev/disk2 /dev/disk3
}
md_has_replaced() { grep -q "$(readlink /dev/disk1)\[[0-9]*\](F)" /proc/mdstat; }

# The daemon is killed in the middle, under load: the next one goes on from the arena.
killed() {
	local engine
	for engine in $(engines); do
		BUSY=1 array --engine "$engine"
		busy
		halfway
		kill_daemon
		again "${disks[@]}" "$new"
		[ "$(job from_sector)" -gt 2048 ] 2>/dev/null || is_idle || fail "it begins anew"
		is_replacing || is_member "$new" || fail "it is forgotten"
		quietly timeout 300 ringraid wait t
		is_member "$new" || fail "$new is not member 1"
		end_clients
		no_stream
		stop
		judge "${taken[@]}"
	done
	# And the device is not there any more when the next one comes.
	array --engine bpf
	halfway
	kill_daemon_wholly
	detach "$new"
	again "${disks[@]}"
	is_let_go || fail "there is a replacement"
	state healthy
	read_all "without the replacement"
	stop
	judge "${disks[@]}"
	attach
	eventually "disk4 is back" named 4
	# Or it was away: what it had only acknowledged may be lost.
	array --engine bpf
	halfway
	kill_daemon_wholly
	detach "$new"
	attach
	eventually "disk4 is back" named 4
	again "${disks[@]}" "$new"
	eventually "it is let go" is_let_go
	state healthy
	stop
	judge "${disks[@]}"
}

# What a power cut leaves is whole, whoever starts it.
cut_off() {
	array
	halfway
	write_at 640 256
	eventually "it is clean" is_clean
	copy 0:6 1:7 2:8 3:9 4:10
	stop
	copy 6:0 7:1 8:2 9:3 10:4
	again "${disks[@]}" "$new"
	is_replacing || is_member "$new" || fail "it is forgotten"
	replaced
	copy 6:0 7:1 8:2 9:3 10:4
	quietly mdadm --assemble "$md" "${disks[@]}" "$new"
	eventually "md has replaced it" md_has_replaced
	check
	give
	again "${taken[@]}"
	read_all "md after the cut"
	# While it was written: what was in flight may be on the member alone.
	stop
	array --clean-after 0
	halfway
	write_at 640 256
	copy 0:6 1:7 2:8 3:9 4:10
	stop
	copy 6:0 7:1 8:2 9:3 10:4
	again "${disks[@]}" "$new"
	replaced
}

# A member is lost: the array can have the device as a spare. The old one is: the same. The
# new one is: nothing but it.
lost() {
	local one
	for one in 1 2; do
		array
		halfway
		quietly ringraid set t sync-max=0
		quietly ringraid fail t $one
		[ "$(told Fail)" = 1 ] || fail "no event tells of it"
		eventually "the device is used" rebuilt_on $one
		state healthy
		read_all "member $one was lost"
		stop
	done
	judge /dev/disk0 /dev/disk1 "$new" /dev/disk3
	array
	halfway
	detach "$new"
	write_at 0 2048
	eventually "it is let go" is_let_go
	state healthy
	read_all "the new one was lost"
	stop
	judge "${disks[@]}"
	attach
	eventually "disk4 is back" named 4
	array
	halfway
	quietly ringraid fail t "$new"
	eventually "it is let go" is_let_go
	[ "$(st 'spares | length')" = 0 ] || fail "it is a spare"
	state healthy
	stop
	# At a start: without the old one, the new one is as a rebuild that came so far.
	array
	halfway
	write_at 640 256
	stop
	refused "count on it" ringraid assemble /dev/disk0 "$new" /dev/disk2 /dev/disk3
	again /dev/disk0 "$new" /dev/disk2 /dev/disk3 --degraded
	[ "$(job kind)" = rebuild ] || is_member "$new" || fail "no rebuild"
	quietly ringraid set t sync-max=0
	replaced
}
rebuilt_on() { [ "$(st "members[$1].device")" = "$new" ] && is_idle && is_state healthy; }

# Sectors that the old one cannot read come from the others; two in a row end it.
bad_sectors() {
	array
	stop
	quietly dmsetup create bad --table "0 8192 linear $(readlink -f /dev/disk1) 0
8192 8 error
8200 $(($(blockdev --getsz /dev/disk1) - 8200)) linear $(readlink -f /dev/disk1) 8200"
	quietly dmsetup mknodes bad
	again /dev/disk0 /dev/mapper/bad /dev/disk2 /dev/disk3
	quietly ringraid replace t 1 --with "$new"
	# What cannot be read is written again, which that map does not take: it is out.
	eventually "it ends" is_idle
	quietly timeout 300 ringraid wait t
	state healthy
	read_all "over a bad sector"
	stop
	dmsetup remove bad
	judge "${taken[@]}"
}

# odd FIRST LAST: of /dev/mapper/odd, which is disk 5, these sectors take no write.
odd() {
	local disk n
	disk=$(readlink -f /dev/disk5)
	n=$(blockdev --getsz "$disk")
	{
		[ "$1" = 0 ] || echo "0 $1 linear $disk 0"
		[ "$1" = "$2" ] || echo "$1 $(($2 - $1)) flakey $disk $1 0 60 1 error_writes"
		echo "$2 $((n - $2)) linear $disk $2"
	} >"$tmp/table"
	if dmsetup info odd >/dev/null 2>&1; then
		quietly dmsetup load odd "$tmp/table"
		quietly dmsetup suspend --noflush --nolockfs odd
		quietly dmsetup resume odd
	else
		quietly dmsetup create odd "$tmp/table"
	fi
	quietly dmsetup mknodes odd
}

# A device that takes no superblock, be it the first, the last or that of a start: it is let
# go, and the array is as before.
no_superblock() {
	modprobe dm-flakey
	array --clean-after 0
	odd 8 16
	refused "cannot|failed|error" ringraid replace t 1 --with /dev/mapper/odd
	is_let_go || fail "it is kept"
	quietly dmsetup remove odd # nobody has it
	odd 8 8
	quietly ringraid set t sync-max=500
	quietly ringraid replace t 1 --with /dev/mapper/odd --force
	eventually "it is nearly there" is_past 94
	quietly ringraid pause t
	eventually "it waits" is_paused
	odd 8 16
	go_on
	eventually "it is let go" is_let_go
	state healthy
	read_all "the new one took no superblock"
	eventually "it is free" dmsetup remove odd
	odd 8 8
	quietly ringraid set t sync-max=1000
	quietly ringraid replace t 1 --with /dev/mapper/odd --force
	eventually "it is under way" is_past 10
	stop
	odd 8 16
	again "${disks[@]}" /dev/mapper/odd
	eventually "it is let go" is_let_go
	state healthy
	quietly ringraid replace t 1 --with "$new" --force --wait
	is_member "$new" || fail "$new is not member 1"
	read_all "after the other one"
	stop
	judge "${taken[@]}"
	quietly dmsetup remove odd
}

# What else may be asked for meanwhile: none of it harms, and a new bitmap comes along.
meanwhile() {
	array --engine bpf --consistency bitmap
	halfway
	refused "under way" ringraid check t
	refused "in use|no device" ringraid remove t "$new"
	refused "in use|busy|members" ringraid add t "$new"
	refused "being replaced" ringraid replace t 2
	quietly ringraid set t bitmap=none
	write_at 640 256
	quietly ringraid set t bitmap=internal
	quietly ringraid upgrade t
	quietly ringraid add t /dev/disk5
	[ "$(st 'members[1].replacement.device')" = "$new" ] || fail "it is forgotten"
	write_at 900 256
	go_on
	replaced
}

take_turns under_load by_a_spare stopped killed cut_off lost bad_sectors no_superblock meanwhile
