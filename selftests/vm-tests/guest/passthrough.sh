#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# passthrough.sh BAD-SECTOR: disk4 fails reads there, thirty times; disk5 fails
# writes there, always; 6 to 8 have blocks of 4 KiB and commands of 128 KiB at most,
# an eighth of their chunk; 9 is no NVMe disk.
. "${0%/*}/lib.sh"
bad=$1
read -ra plain < <(disks 4)
modprobe dm-mod

create() { start t "$@" --chunk 64K --assume-clean --passthrough; }

# What the block layer has written to a disk so far, in requests.
block_writes() { awk '{ print $5 }' "/sys/block/$(basename "$(readlink -f "$1")")/stat"; }

# bad_at DISK...: where member 3 is bad, in the array's sectors.
bad_at() {
	local at
	data_offset=$(offset_of "$1")
	at=$(place 3 "$bad" 4 64)
	[ "$at" != parity ] || fail "choose another sector: $bad is parity"
	echo "$at"
}

# right ENGINE MEMBER...
right() {
	local engine=$1 before after sent
	shift
	wipe "$@"
	start t "$@" --chunk "$own_chunk" --assume-clean --passthrough --engine "$engine" --queues 2
	[ "$(st passthrough)" = true ] || fail "status does not say passthrough"
	before=$(block_writes "$1")
	load mix --rw=randrw --bssplit="$own_mix" --iodepth=32 --numjobs=2 --size=24m --offset_increment=24m \
		--verify_backlog=64 --fdatasync=32
	load through --rw=randwrite --bs=4k --iodepth=8 --size=2m --sync=dsync
	after=$(block_writes "$1")
	sent=$(counter slot_writes)
	[ "$sent" -gt 500 ] || fail "only $sent member writes"
	# Flushes do: they are the flusher's, for all queues (decision 0030); and what the log's
	# thread writes. Superblocks do, more of them the longer it takes.
	[ $((after - before - $(counter flushes) - $(counter log_units))) -lt $((sent / 50)) ] || fail "$((after - before)) of $sent writes went through the block layer"
	[ "$(counter member_flushes)" -gt 0 ] || fail "no flush was sent"
	if [ "$engine" = bpf ]; then
		[ "$(counter punts)" = 0 ] || fail "$(counter punts) commands were handed to a worker"
	fi
	state healthy
	quietly ringraid fail t 1
	load degraded --rw=randrw --bssplit="$own_mix" --iodepth=16 --size=16m
	fill
	read_all "degraded"
	no_stream
	stop
	take_degraded "$1" "${@:3}"
	block=$md
	read_all "by md"
	readd "$2"
	check "after md's rebuild"
	give
	say "$engine engine, $# members with blocks of $(blockdev --getss "$1"): $sent member writes, $((after - before)) by the block layer"
}

# Of chunks of several cells nobody joins the commands but ourselves.
stripes() {
	local trace=/sys/kernel/tracing/events/nvme/nvme_setup_cmd commands
	wipe "${plain[@]}"
	start t "${plain[@]}" --assume-clean --passthrough
	echo 'hist:keys=opcode' >$trace/trigger
	quietly dd if=/dev/zero of="$block" bs=1536K count=8 oflag=direct
	commands=$(sed -nE 's/.*opcode: *1 .*hitcount: *([0-9]+).*/\1/p' $trace/hist)
	cp $trace/hist "$tmp/hist"
	echo '!hist:keys=opcode' >$trace/trigger
	say "8 full stripes of 512 KiB chunks: ${commands:-no} write commands"
	if [ "${commands:-0}" -lt 40 ] || [ "$commands" -gt 128 ]; then
		cat "$tmp/hist"
		fail "8 full stripes were ${commands:-no} write commands"
	fi
	stop
	judge "${plain[@]}"
}

bad_block() {
	local members=("${plain[@]:0:3}" /dev/disk4)
	wipe "${members[@]}"
	create "${members[@]}"
	bad_at "${members[0]}" >/dev/null
	fill
	read_all
	state healthy
	[ "$(counter read_errors)" -gt 0 ] || fail "no read error was seen"
	[ "$(counter repaired)" -gt 0 ] || fail "the bad block was not rewritten"
	say "bad block: $(counter read_errors) read errors, $(counter rebuilt_reads) reads served from parity, $(counter repaired) repaired"
	stop
	judge "${members[@]}"
}

write_error() {
	local members=("${plain[@]:0:3}" /dev/disk5)
	wipe "${members[@]}"
	create "${members[@]}"
	: >"$tmp/ref"
	truncate -s "$(blockdev --getsize64 "$block")" "$tmp/ref"
	write_at "$(bad_at "${members[0]}")" 8
	state degraded
	[ "$(st 'members | map(.state) | join(" ")')" = "active active active failed" ] || fail "the wrong member is out"
	mdadm --examine "${plain[0]}" | grep -q 'Array State : AAA\.' || fail "acknowledged before it was in the superblocks"
	read_all "after the write error"
	stop
	say "write error: the member is out, on the survivors before the ack"
}

# killed ENGINE: every other successor goes by the block layer.
killed() {
	local how
	wipe "${plain[@]}"
	create "${plain[@]}" --engine "$1"
	fill
	background kill9
	for how in '' --passthrough ''; do
		sleep 1.$((RANDOM % 10))
		kill_daemon
		# shellcheck disable=SC2086 # nothing, or an option
		quietly timeout 100 ringraid assemble "${plain[@]}" --engine "$1" $how
		state healthy
		[ "$(st passthrough)" = "$([ -n "$how" ] && echo true || echo false)" ] || fail "passthrough is $(st passthrough)"
	done
	end_clients
	stop
	judge "${plain[@]}"
	say "$1 engine: kill -9 three times under load: no error, no resync, parity right"
}

# page_cache END...: what somebody has read of a member, and keeps open, is written
# to behind his back. After END he reads what is there.
page_cache() {
	local disk held
	disk=$(readlink -f "${plain[0]}")
	wipe "${plain[@]}"
	create "${plain[@]}"
	exec {held}<"$disk"
	dd if="$disk" of=/dev/null bs=1M status=none
	fill
	refused "couldn't open" mdadm --zero-superblock "$disk"
	"$@"
	dd if="$disk" of="$tmp/cached" bs=1M status=none
	dd if="$disk" of="$tmp/direct" bs=1M iflag=direct status=none
	exec {held}<&-
	same "$tmp/direct" "$tmp/cached" "the page cache of a member after $*"
}

# By the block layer, whose stop has nothing to tell.
kill_and_stop() {
	kill_daemon
	quietly timeout 100 ringraid assemble "${plain[@]}"
	stop
}

kill_and_drop() {
	kill_daemon_wholly
	quietly ringraid stop --force
}

# An array of disks with small blocks, copied to some with larger ones.
within_a_block() {
	local i
	for i in 0 1 2; do quietly wipefs -a "${plain[i]}"; done
	quietly mdadm --create "$md" --run --level=5 --raid-devices=3 --chunk=64 --metadata=1.2 --bitmap=none \
		--assume-clean --data-offset=2049s "${plain[@]:0:3}"
	give
	for i in 0 1 2; do
		quietly dd if="${plain[i]}" of="/dev/disk$((6 + i))" bs=1M oflag=direct iflag=direct
		wipe "${plain[i]}"
	done
	refused 'begins or ends within a block' ringraid assemble /dev/disk6 /dev/disk7 /dev/disk8 --passthrough
	wipe /dev/disk6 /dev/disk7 /dev/disk8
}

refusals() {
	local disk end
	disk=$(readlink -f "${plain[0]}")
	refused 'no NVMe namespace' ringraid create no /dev/disk9 "${plain[@]:1:3}" --passthrough --force
	# A table with one partition, of 16 MiB.
	{
		head -c 450 /dev/zero
		printf '\x83\0\0\0\0\x08\0\0\0\x80\0\0'
		head -c 48 /dev/zero
		printf '\x55\xaa'
	} >"$tmp/table"
	quietly dd if="$tmp/table" of="$disk" bs=512 oflag=direct status=none
	quietly blockdev --rereadpt "$disk"
	refused 'is a partition' ringraid create no "${disk}p1" "${plain[@]:1:3}" --passthrough --force
	wipe "${plain[@]}"
	quietly blockdev --rereadpt "$disk"
	within_a_block
	say "refused: another disk, a partition, data that begins within a block"
	for end in stop kill_and_stop kill_and_drop; do page_cache $end; done
	say "a member that is in use stays ours, and its page cache is dropped in the end"
}

# Pulled under load; last, because it does not come back.
pulled() {
	local disk
	wipe "${plain[@]}"
	create "${plain[@]}"
	fill
	disk=$(readlink "${plain[3]}")
	background pulled
	sleep 1.5
	echo 1 >"/sys/block/$disk/device/device/remove"
	sleep 2
	end_clients
	write_at 40 8
	state degraded
	[ "$(st 'members | map(.state) | join(" ")')" = "active active active failed" ] || fail "the wrong member is out"
	no_stream
	stop
	say "pulled under load: degraded, and no client saw an error"
}

own_mix=$mix own_chunk=64K
right bpf "${plain[@]}"
right user "${plain[@]}"
own_mix=4k/40:64k/30:192k/20:1m/10 own_chunk=1M
for disk in 6 7 8; do
	most=$(cat "/sys/block/$(basename "$(readlink -f /dev/disk$disk)")/queue/max_sectors_kb")
	[ "$most" = 128 ] || fail "a command takes $most KiB, not 128"
done
right bpf /dev/disk6 /dev/disk7 /dev/disk8
stripes
bad_block
write_error
killed bpf
killed user
refusals
pulled
