#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Each file system is filled with a real tree, and each member failed in turn:
# every checksum must be equal without it. What a failure changes on disk is
# the survivors' superblocks, so those are put back to have a whole array for
# the next member; after the last one, which is also written to without, md
# rebuilds and checks. The engines take turns.
. "${0%/*}/lib.sh"
read -ra members < <(disks 4)
mnt=$tmp/mnt
mkdir "$mnt"

# verify_files WHERE: from the disks, not from the page cache.
verify_files() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	(cd "$mnt" && sha256sum -c "$tmp/sums") >"$tmp/log" 2>&1 || { grep -v ': OK$' "$tmp/log"; fail "checksums differ, $1"; }
	[ "$(grep -c ': OK$' "$tmp/log")" = "$(wc -l <"$tmp/sums")" ] || fail "files are missing, $1"
}

fsck() {
	case $fs in
	ext4) quietly e2fsck -fn "$1" ;;
	xfs) quietly xfs_repair -n "$1" ;;
	esac
}

# add_file NAME: something new, checked from now on.
add_file() {
	head -c 3000001 /dev/urandom >"$mnt/$1"
	(cd "$mnt" && sha256sum "$1") >>"$tmp/sums"
	sync
}

superblocks=64 # sectors at the start of a member
save() {
	local i
	for i in "${!members[@]}"; do dd if="${members[i]}" of="$tmp/sb$i" count=$superblocks iflag=direct status=none; done
}
restore() {
	local i
	for i in "${!members[@]}"; do dd of="${members[i]}" if="$tmp/sb$i" oflag=direct status=none; done
}

# without ROLE ENGINE: verified from a read-only mount.
without() {
	again "${members[@]}" --engine "$2"
	state healthy
	quietly ringraid fail t "${members[$1]}"
	state degraded
	mount -o "$read_only" "$block" "$mnt"
	verify_files "without member $1"
	umount "$mnt"
	fsck "$block"
	no_stream
	stop
	restore
	say "$fs: all checksums equal without member $1, $2 engine"
}

# try FILESYSTEM READ-ONLY-OPTIONS ENGINE ENGINE
try() {
	fs=$1 read_only=$2
	local engines=("$3" "$4") lost last=$((${#members[@]} - 1))
	cp /test/sums "$tmp/sums"
	wipe "${members[@]}"
	start t "${members[@]}" --engine "$3" --chunk 64K --assume-clean
	[ "$(cat "/sys/block/${block#/dev/}/queue/read_ahead_kb")" = 384 ] || fail "it does not read two stripes ahead"
	quietly mkfs."$fs" -q "$block"
	mount "$block" "$mnt"
	cp -a /data/. "$mnt/"
	sync
	umount "$mnt"
	fsck "$block"
	stop
	save
	say "$fs: filled with $(wc -l <"$tmp/sums") files, $3 engine"
	for ((lost = 0; lost < last; lost++)); do without $lost "${engines[(lost + 1) % 2]}"; done

	again "${members[@]}" --engine "$4"
	mount "$block" "$mnt"
	add_file healthy
	quietly ringraid fail t "${members[last]}"
	verify_files "without member $last"
	add_file degraded
	umount "$mnt"
	fsck "$block"
	stop
	take_degraded "${members[@]:0:last}"
	readd "${members[last]}"
	check "$fs"
	give
	again "${members[@]}" --engine "$3"
	state healthy
	mount "$block" "$mnt"
	verify_files "after md's rebuild"
	umount "$mnt"
	stop
	say "$fs: written to without member $last, $4 engine; rebuilt and checked by md"
}

try ext4 ro bpf user
try xfs ro,norecovery user bpf
if is_full; then
	try ext4 ro user bpf
	try xfs ro,norecovery bpf user
fi
