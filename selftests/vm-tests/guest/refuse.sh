#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Input that must be refused: with an exit code, an errno, a hint, and without
# a byte written to any disk.
. "${0%/*}/lib.sh"
read -ra disks < <(disks 4)
other=/dev/disk4 big_blocks=/dev/disk5
declare -A errno=([ENOENT]=2 [EAGAIN]=11 [EBUSY]=16 [EEXIST]=17 [ENODEV]=19 [EINVAL]=22 [ENOTBLK]=15 [ENOSPC]=28
	[ENOTSUP]=95 [EUCLEAN]=117 [E2BIG]=7 [EBADMSG]=74)
count=0

# writes: of all disks so far, discards too, by the kernel's count.
writes() { cat /sys/block/nvme*/stat | awk '{ print $5, $7, $12 }'; }

# no ERRNO TEXT HINT COMMAND...: ringraid refuses COMMAND, for people and as
# JSON; TEXT and HINT are regexes. With ERRNO "usage" the parser refuses it.
no() {
	local code=$1 text=$2 hint=$3 rc=0
	shift 3
	sync
	writes >"$tmp/before"
	ringraid "$@" >"$tmp/log" 2>&1 || rc=$?
	[ $rc -ne 0 ] || { cat "$tmp/log"; fail "not refused: ringraid $*"; }
	[ $rc -lt 128 ] || { cat "$tmp/log"; fail "it crashed ($rc): ringraid $*"; }
	grep -qE -- "$text" "$tmp/log" || { cat "$tmp/log"; fail "does not say '$text': ringraid $*"; }
	if [ "$code" != usage ]; then
		[ -z "$hint" ] || grep -qE "^hint: .*($hint)" "$tmp/log" || { cat "$tmp/log"; fail "no hint '$hint': ringraid $*"; }
		ringraid --json "$@" >"$tmp/json" 2>/dev/null || true
		[ "$(jq -r .errno "$tmp/json")" = "${errno[$code]}" ] || { cat "$tmp/log" "$tmp/json"; fail "the errno is not $code: ringraid $*"; }
	fi
	sync
	writes >"$tmp/after"
	cmp -s "$tmp/before" "$tmp/after" || { cat "$tmp/log"; fail "something was written by: ringraid $*"; }
	count=$((count + 1))
}

# with_field OFFSET VALUE: a copy of disk0's start with one field changed, on disk0.
poke() {
	dd if="${disks[0]}" of="$tmp/start" bs=4k count=4 status=none
	dd if="${disks[0]}" of="$tmp/poked" bs=4k count=4 status=none
	put32 "$tmp/poked" "$1" "$2"
	[ "${3:-}" = bad-checksum ] || fix_checksum "$tmp/poked"
	dd if="$tmp/poked" of="${disks[0]}" bs=4k oflag=direct status=none
}
unpoke() { dd if="$tmp/start" of="${disks[0]}" bs=4k oflag=direct status=none; }

creating() {
	no usage '3|devices' '' create t "${disks[0]}" "${disks[1]}"
	no usage 'layout' '' create t "${disks[@]}" --layout middle-out
	no EINVAL 'chunk|3K|3072' '' create t "${disks[@]}" --chunk 3K
	no EINVAL 'chunk|2M' '' create t "${disks[@]}" --chunk 2M
	no EINVAL 'size|lots' '512K, 64M' create t "${disks[@]}" --chunk lots
	no usage '99 is not from 1 to 16' '' create t "${disks[@]}" --queues 99
	no usage '1000 is not from 1 to 256' '' create t "${disks[@]}" --depth 1000
	no usage '500 is not from 1 to 256' '' create t "${disks[@]}" --slots 500
	no E2BIG 'buffers' 'arena' create t "${disks[@]}" --arena 1M
	no usage '--arena' '' create t "${disks[@]}" --arena 5G
	no EEXIST 'same device' '' create t "${disks[0]}" "${disks[1]}" "${disks[0]}" "${disks[2]}"
	no EEXIST 'same device' '' create t "${disks[0]}" "${disks[1]}" "/dev/$(readlink "${disks[0]}")"
	no ENOENT 'nowhere' '' create t "${disks[@]}" /dev/nowhere
	: >"$tmp/regular"
	no ENOTBLK 'block device' 'losetup' create t "${disks[@]}" "$tmp/regular"
	no EINVAL 'logical blocks' '' create t "${disks[@]}" "$big_blocks"
	truncate -s 64K "$tmp/tiny"
	modprobe loop
	tiny=$(losetup --find --show "$tmp/tiny")
	no ENOSPC 'sectors|small|room' '' create t "${disks[@]}" "$tiny"
	losetup -d "$tiny"
	no ENOSPC 'sectors|size|room|small' '' create t "${disks[@]}" --size 1024G

	quietly mkfs.ext4 -q -L precious "$other"
	no EEXIST "ext4 file system 'precious'" 'wipefs' create t "${disks[@]}" "$other"
	mkdir -p "$tmp/mnt"
	mount -o ro "$other" "$tmp/mnt"
	no EBUSY 'in use' 'lsblk' create t "${disks[@]}" "$other"
	no EBUSY 'in use' 'lsblk' create t "${disks[@]}" "$other" --force
	umount "$tmp/mnt"
	say "create: $count inputs refused"
}

assembling() {
	local before=$count
	no ENODEV '' '' assemble "${disks[@]}"
	no EINVAL 'which array' 'devices' assemble
	no ENODEV '' 'examine' assemble --uuid 01234567:01234567:01234567:01234567
	no EINVAL 'not a uuid' '' assemble --uuid 12345
	start t "${disks[@]}" --chunk 64K --clean-after 0 --consistency bitmap --wait
	fill
	no EBUSY 'in use|being served' '' assemble "${disks[@]}"
	no EBUSY 'in use' '' create u "${disks[@]}" --force
	stop
	no EEXIST 'linux_raid_member' 'wipefs' create u "${disks[@]}"
	no ENODEV '3 of 4|2 of 4|missing' '' assemble "${disks[0]}" "${disks[1]}"
	no EEXIST 'same device' '' assemble "${disks[0]}" "${disks[1]}" "${disks[0]}" "${disks[2]}"

	# Of another array.
	wipe "$other"
	quietly mdadm --create "$md" --run --level=5 --raid-devices=3 --bitmap=none "$other" missing /dev/disk6
	give
	no EINVAL 'different arrays' 'uuid' assemble "${disks[0]}" "${disks[1]}" "${disks[2]}" "$other"

	# In md's hands.
	take "${disks[@]}"
	no EBUSY 'in use' 'mdadm --stop' assemble "${disks[@]}"
	no EBUSY 'in use' '' create u "${disks[@]}" --force
	give

	# Superblocks that are not what they should be.
	poke 8 $((1 << 20))
	no ENOTSUP 'unknown features 0x100000' '' assemble "${disks[@]}"
	ringraid --json examine "${disks[0]}" | jq -e '.devices[0].servable == false' >/dev/null || fail "examine calls it servable"
	unpoke
	poke 72 1
	no EINVAL 'contradict' '' assemble "${disks[@]}"
	unpoke
	poke 88 100
	no EINVAL 'contradict' '' assemble "${disks[@]}"
	unpoke

	# One that the others count on is missed, not thrown out.
	no EAGAIN 'role 0 of 4' '--degraded' assemble "${disks[@]:1}"

	# A broken superblock is a missing member, and one may be missing.
	poke 80 12345 bad-checksum
	no EAGAIN 'role 0 of 4' '--degraded.*checksum' assemble "${disks[@]}"
	again "${disks[@]}" --degraded
	state degraded
	read_all "with a broken superblock"
	stop
	[ "$(get32 "${disks[0]}" 80)" = 12345 ] || fail "the broken superblock was written to"
	unpoke
	say "assemble: $((count - before)) inputs refused"
}

# What is left of the array now: disk0 is stale, it missed a degraded run.
stale_and_dirty() {
	local before=$count d
	again "${disks[@]:1}"
	state degraded
	write_at 1000 64
	stop
	md5sum "${disks[0]}" >"$tmp/stale"
	again "${disks[@]}"
	state degraded
	read_all "a stale member was used"
	stop
	md5sum -c "$tmp/stale" >/dev/null || fail "the stale member was written to"
	no ENODEV 'missing' '' assemble "${disks[0]}" "${disks[1]}" "${disks[2]}"

	# Whole and clean again, then as after a crash: dirty superblocks.
	take_degraded "${disks[@]:1}"
	readd "${disks[0]}"
	give
	again "${disks[@]}" --clean-after 0
	state healthy
	write_at 5000 64
	sync
	for d in 0 1 2 3; do dd if="${disks[d]}" of="$tmp/dirty$d" bs=4k count=4 iflag=direct status=none; done
	stop
	for d in 0 1 2 3; do dd if="$tmp/dirty$d" of="${disks[d]}" bs=4k oflag=direct status=none; done
	no EUCLEAN 'not stopped cleanly' 'force' assemble "${disks[0]}" "${disks[1]}" "${disks[2]}"
	again "${disks[0]}" "${disks[1]}" "${disks[2]}" --force
	state degraded
	read_all "forced"
	stop
	for d in 0 1 2 3; do dd if="$tmp/dirty$d" of="${disks[d]}" bs=4k oflag=direct status=none; done
	ringraid assemble "${disks[@]}" >"$tmp/log" 2>&1 || { cat "$tmp/log"; fail "a dirty array"; }
	grep -q 'recomputing parity' "$tmp/log" || { cat "$tmp/log"; fail "no resync of a dirty array"; }
	block=$(st block_device)
	state healthy
	read_all "after the resync"
	say "a stale member is left alone; dirty and degraded is refused unless forced; dirty is resynced"
}

# Orders to a running array.
running() {
	local before=$count
	quietly mkfs.ext4 -q "$block"
	mount "$block" "$tmp/mnt"
	refused 'in use' ringraid stop
	grep -q '^hint: .*unmount' "$tmp/log" || fail "no hint how to stop"
	umount "$tmp/mnt"
	refused 'not a member' ringraid fail t 7
	refused 'not a member' ringraid fail t /dev/disk6
	refused 'no array u' ringraid fail u 1
	quietly ringraid fail t 1
	refused 'another member is out' ringraid fail t 2
	state degraded
	stop
	local rc=0
	ringraid status >"$tmp/log" 2>&1 || rc=$?
	[ $rc = 4 ] || fail "status of nothing gives $rc, not 4"
	refused 'no array' ringraid stop
	grep -q '^hint: ' "$tmp/log" || fail "no hint what to do without an array"
	say "orders to a running array: refused what must be"
}

wipe "${disks[@]}" "$other" "$big_blocks" /dev/disk6
creating
assembling
stale_and_dirty
running
say "$count inputs refused, nothing written by any"
