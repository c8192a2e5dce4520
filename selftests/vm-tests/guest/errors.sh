#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# errors.sh BAD-SECTOR: disk4 fails reads there, thirty times (the NVMe driver
# repeats each five times); disk5 fails writes there, always.
. "${0%/*}/lib.sh"
bad=$1
engine=bpf
read -ra plain < <(disks 4)
modprobe dm-mod
modprobe dm-flakey
modprobe dm-delay

sectors() { blockdev --getsz "$1"; }
corrected() { st 'members[2].corrected_read_sectors'; }
is_corrected() { [ "$(corrected)" -ge "$1" ]; }
member_states() { st 'members | map(.state) | join(" ")'; }

# table NAME DISK SECTOR COUNT TARGET...: NAME is DISK but for COUNT sectors.
table() {
	local name=$1 disk=$2 from=$3 count=$4
	shift 4
	{
		[ "$from" = 0 ] || echo "0 $from linear $disk 0"
		echo "$from $count $*"
		echo "$((from + count)) $(($(sectors "$disk") - from - count)) linear $disk $((from + count))"
	} >"$tmp/table"
	if dmsetup info "$name" >/dev/null 2>&1; then
		quietly dmsetup load "$name" "$tmp/table"
		quietly dmsetup resume "$name"
	else
		quietly dmsetup create "$name" "$tmp/table"
		quietly dmsetup mknodes "$name"
	fi
}

# The start of the data of the members to come.
probe_offset() {
	start t "$@" --chunk 64K --assume-clean --engine $engine
	data_offset=$(offset_of "$1")
}

# Bad blocks that QEMU reports: the disk says "unrecovered read error".
read_error_of_the_disk() {
	local members=("${plain[@]:0:3}" /dev/disk4) at
	probe_offset "${members[@]}"
	at=$(place 3 "$bad" 4 64)
	[ "$at" != parity ] || fail "choose another sector: $bad is parity"
	fill
	read_all
	state healthy
	[ "$(counter read_errors)" -gt 0 ] || fail "no read error was seen"
	[ "$(counter rebuilt_reads)" -gt 0 ] || fail "nothing was served from parity"
	[ "$(counter repaired)" -gt 0 ] || fail "the bad block was not rewritten"
	say "disk error: $(counter read_errors) read errors, $(counter rebuilt_reads) reads served from parity, $(counter repaired) repaired"
	stop
	judge "${members[@]}"
}

# A bad block that reads badly until it is replaced; what is under it is
# garbage, so that a repair that did not happen cannot be overlooked.
bad_block() {
	local members=("${plain[@]:0:2}" /dev/mapper/bad "${plain[3]}") at same_row row
	wipe "${plain[@]}"
	table bad "${plain[2]}" "$bad" 16 "linear ${plain[2]} $bad"
	probe_offset "${members[@]}"
	for ((row = bad; ; row += 128)); do
		at=$(place 2 $row 4 64)
		[ "$at" = parity ] || break
	done
	fill
	plant() {
		dd if=/dev/urandom of="${plain[2]}" bs=512 count=16 seek="$row" oflag=direct conv=notrunc status=none
		table bad "${plain[2]}" "$row" 16 "flakey ${plain[2]} $row 0 3600 1 error_reads"
	}
	repaired() {
		[ "$(counter repaired)" -gt "$1" ] || fail "not repaired: $2"
		table bad "${plain[2]}" "$row" 16 "linear ${plain[2]} $row"
		dd if="${plain[2]}" of="$tmp/disk" bs=512 count=16 skip="$row" iflag=direct status=none
		dd if="$tmp/ref" of="$tmp/want" bs=512 count=16 skip="$at" status=none
		same "$tmp/want" "$tmp/disk" "$2"
		read_all "$2"
		state healthy
		say "dm-flakey: $2"
	}
	local before
	before=$(counter repaired)
	plant
	read_all "a read of a bad block"
	repaired "$before" "a read found the bad block: rebuilt and rewritten"
	eventually "what a client met is counted by member" is_corrected 8

	# Of the same row, on another member: parity has to be made without the bad block.
	same_row=$(place 1 $row 4 64)
	[ "$same_row" != parity ] || same_row=$(place 3 $row 4 64)
	before=$(counter repaired)
	plant
	write_at "$same_row" 8
	read_all "a partial write beside a bad block"
	repaired "$before" "a partial write beside it: parity is right, the block rebuilt"

	plant
	write_at "$at" 16
	table bad "${plain[2]}" "$row" 16 "linear ${plain[2]} $row"
	read_all "overwritten"
	say "dm-flakey: a write over the bad block"

	# A check rewrites it, and the member's superblock counts that, for us and for md.
	before=$(corrected)
	plant
	quietly ringraid check t --wait
	table bad "${plain[2]}" "$row" 16 "linear ${plain[2]} $row"
	[ "$(corrected)" -ge $((before + 8)) ] || fail "a check does not count what it mends: $(corrected)"
	before=$(corrected)
	stop
	ringraid examine "${members[2]}" | grep -q "Corrected Reads : $before sectors" || fail "the superblock does not have it"
	take "${members[@]}"
	[ "$(cat "/sys/block/${md#/dev/}/md/"dev-dm-*/errors)" = "$before" ] || fail "md reads another count"
	give
	again "${members[@]}" --engine $engine
	[ "$(corrected)" = "$before" ] || fail "not kept over a restart: $(corrected)"
	say "dm-flakey: a check mends it, and the member's superblock counts"

	plant
	quietly ringraid fail t "${plain[0]}"
	state degraded
	refused 'input/output error' dd if="$block" of=/dev/null bs=4k count=1 skip=$((at * 512)) iflag=direct,skip_bytes
	say "dm-flakey: a bad block without the redundancy is an error to the client"
	table bad "${plain[2]}" "$row" 16 "linear ${plain[2]} $row"
	stop
}

# A write error: that member is out, and that is on the survivors before the ack.
write_error() {
	local members=() i events
	quietly dmsetup remove bad
	wipe "${plain[@]}" /dev/disk5
	for i in 0 1 2; do
		table slow$i "${plain[i]}" 0 64 "linear ${plain[i]} 0"
		members+=("/dev/mapper/slow$i")
	done
	members+=(/dev/disk5)
	start t "${members[@]}" --chunk 64K --assume-clean --engine $engine
	cp /dev/null "$tmp/ref"
	truncate -s "$(blockdev --getsize64 "$block")" "$tmp/ref"
	# Superblocks take half a second now, so an early ack is seen.
	for i in 0 1 2; do table slow$i "${plain[i]}" 0 64 "delay ${plain[i]} 0 0 ${plain[i]} 0 500"; done
	events=$(ringraid --json examine "${members[0]}" | jq '.devices[0].events')
	write_at "$(place 3 "$bad" 4 64)" 8
	mdadm --examine "${plain[0]}" >"$tmp/log"
	grep -q 'Array State : AAA\.' "$tmp/log" || { cat "$tmp/log"; fail "acknowledged before the failure was in the superblocks"; }
	[ "$(awk '$1 == "Events" { print $3 }' "$tmp/log")" -gt "$events" ] || fail "the events did not grow"
	for i in 0 1 2; do table slow$i "${plain[i]}" 0 64 "linear ${plain[i]} 0"; done
	state degraded
	[ "$(member_states)" = "active active active failed" ] || fail "the members are: $(member_states)"
	read_all "after the write error"
	load after --rw=randrw --bssplit=$mix --iodepth=16 --size=24m --offset=16m
	stop
	for i in 0 1 2; do quietly dmsetup remove slow$i; done
	for i in 1 2; do
		mdadm --examine "${plain[i]}" | grep -q 'Array State : AAA\.' || fail "member $i does not know of the failure"
	done
	take_degraded "${plain[@]:0:3}"
	give
	say "write error: the member is out, on every survivor before the ack"
}

# Whole stripes, without a member: each block that is needed is read once.
read_from() {
	local d
	for d in "$@"; do awk '{ print $3 }' "/sys/block/$(readlink "$d")/stat"; done | awk '{ n += $1 } END { print n }'
}
degraded_reads() {
	local members=("${plain[@]}") before sectors=$((32 * 2 * 192)) got
	wipe "${members[@]}"
	for engine in bpf user; do
		start t "${members[@]}" --chunk 64K --assume-clean --engine $engine
		fill
		quietly ringraid fail t "${plain[2]}"
		before=$(read_from "${members[@]}")
		dd if="$block" of="$tmp/got" bs=192K count=32 iflag=direct status=none
		got=$(($(read_from "${members[@]}") - before))
		sectors=$((32 * 2 * 192))
		cmp -n $((sectors * 512)) "$tmp/ref" "$tmp/got" || fail "a degraded read is wrong"
		rm "$tmp/got"
		[ $got -le $((sectors * 21 / 20)) ] || fail "$sectors sectors, degraded, took $got of the members"
		read_all "degraded"
		load degraded --rw=randrw --bssplit=$mix --iodepth=16 --size=24m --offset=16m
		stop
		take_degraded "${plain[0]}" "${plain[1]}" "${plain[3]}"
		give
		wipe "${members[@]}"
		say "$engine engine, degraded: $got of the members for $sectors sectors in whole stripes"
	done
	engine=bpf
}

# A disk that is pulled under load, then a second one.
lost_disks() {
	local disk i readable=0 lost=0
	wipe "${plain[@]}"
	table second "${plain[1]}" 0 64 "linear ${plain[1]} 0"
	local members=("${plain[0]}" /dev/mapper/second "${plain[2]}" "${plain[3]}")
	start t "${members[@]}" --chunk 64K --assume-clean --engine $engine
	fill
	disk=$(readlink "${plain[3]}")
	(sleep 1.5; echo 1 >"/sys/block/$disk/device/device/remove") &
	load pulled --rw=randrw --bssplit=$mix --iodepth=16 --size=64m --offset=8m --time_based --runtime=4
	wait
	[ ! -e "/sys/block/$disk" ] || fail "$disk is still there"
	[ "$(counter writes)" -gt 0 ]
	write_at 40 8 # whatever fio did, a write makes the engine look
	state degraded
	[ "$(member_states)" = "active active active failed" ] || fail "the members are: $(member_states)"
	no_stream
	say "pulled under load: degraded, and no client saw an error"

	fill
	dmsetup load second --table "0 $(sectors "${plain[1]}") error"
	dmsetup resume second
	refused 'input/output error' dd if="$tmp/ref" of="$block" bs=1M count=2 oflag=direct conv=notrunc
	state failed
	md5sum "${plain[0]}" "${plain[2]}" >"$tmp/before"
	# What is still given out must be right; the two lost chunks of a row are errors.
	for ((i = 0; i < 256; i++)); do
		if dd if="$block" of="$tmp/chunk" bs=64k count=1 skip=$i iflag=direct status=none 2>/dev/null; then
			dd if="$tmp/ref" bs=64k count=1 skip=$i status=none | cmp -s - "$tmp/chunk" || [ $i -lt 32 ] || fail "wrong data in chunk $i"
			readable=$((readable + 1))
		else
			lost=$((lost + 1))
		fi
	done
	[ $lost -gt 0 ] || fail "no read failed without two members"
	for ((i = 100; i < 120; i++)); do
		! dd if="$tmp/ref" of="$block" bs=4k count=1 seek=$((i * 16)) oflag=direct conv=notrunc status=none 2>/dev/null ||
			fail "a write was taken without two members"
	done
	md5sum "${plain[0]}" "${plain[2]}" >"$tmp/after"
	same "$tmp/before" "$tmp/after" "the survivors were written to"
	ringraid stop --force >"$tmp/log" 2>&1 || true
	for i in 0 2; do
		mdadm --examine "${plain[i]}" | grep -q 'State : active' || fail "member $i was marked clean"
	done
	refused 'member|missing|device' ringraid assemble "${plain[0]}" "${plain[2]}"
	say "a second one: $lost chunks are errors, $readable are right, no write taken, not marked clean"
}

read_error_of_the_disk
bad_block
write_error
degraded_reads
lost_disks
