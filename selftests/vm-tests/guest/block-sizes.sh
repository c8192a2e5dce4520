#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A member is replaced by a disk of 4096-byte blocks: served with such blocks where
# what is on the array can live with them.
. "${0%/*}/lib.sh"
read -ra disks < <(disks 3)
new=("${disks[@]:0:2}" /dev/disk3)

# replace: md rebuilds the last member on the new disk.
replace() {
	take_degraded "${disks[@]:0:2}"
	readd /dev/disk3
	give
}

wipe "${disks[@]}" /dev/disk3
start t "${disks[@]}" --chunk 64K --assume-clean --engine user
quietly mkfs.ext4 -q -b 1024 "$block"
quietly ringraid fail t 2
stop
replace
refused 'ext4 file system with blocks of 1024 bytes' ringraid assemble "${new[@]}"
grep -q '^hint: .*--degraded' "$tmp/log" || fail "no way out is told"
refused 'ext4 file system with blocks of 1024 bytes' ringraid assemble --name t --degraded
say 'a file system of smaller blocks: refused, as its mount would be'

# The way out, and a file system that does not mind.
again "${new[@]:0:2}" --degraded --engine user
state degraded
mkdir -p "$tmp/mnt"
mount "$block" "$tmp/mnt"
umount "$tmp/mnt"
quietly mkfs.ext4 -q -F -b 4096 "$block"
mount "$block" "$tmp/mnt"
dd if=/dev/urandom of="$tmp/mnt/file" bs=64K count=64 status=none
(cd "$tmp/mnt" && md5sum file) >"$tmp/sum"
umount "$tmp/mnt"
stop
replace
again "${new[@]}" --engine user
state healthy
for what in logical_block_size physical_block_size; do
	[ "$(cat "/sys/block/${block#/dev/}/queue/$what")" = 4096 ] || fail "the $what is not 4096"
done
mount "$block" "$tmp/mnt"
(cd "$tmp/mnt" && quietly md5sum -c "$tmp/sum")
umount "$tmp/mnt"
quietly e2fsck -fn "$block"
load mixed --rw=randrw --bs=4k --size=4m --iodepth=8 --offset=8m
stop
judge "${new[@]}"
say 'a file system of large blocks: served with blocks of 4096 bytes, and md agrees'
