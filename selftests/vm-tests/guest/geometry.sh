#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A full stripe that is a power of two is announced, and nobody has to be told. Of another
# one a chunk is, on a driver that takes no bytes: no tool complains, and create prints the
# lines that have the width. Where the driver has bytes, they are announced.
. "${0%/*}/lib.sh"
read -ra disks < <(disks 5)

queue() { cat "/sys/block/${block#/dev/}/queue/$1"; }

# made MEMBERS [OPTION]...: what create says is in $tmp/said.
made() {
	local members=("${disks[@]:0:$1}")
	shift
	wipe "${members[@]}"
	ringraid create t "${members[@]}" --chunk 64K --assume-clean "$@" >"$tmp/said" 2>&1 || { cat "$tmp/said"; fail "create"; }
	block=$(st block_device)
}

told() {
	made 5
	[ "$(queue optimal_io_size)" = $((4 * 65536)) ] || fail "of five members $(queue optimal_io_size) is announced"
	! grep -q mkfs "$tmp/said" || { cat "$tmp/said"; fail "mkfs need not be told"; }
	[ "$(queue read_ahead_kb)" -ge 512 ] || fail "$(queue read_ahead_kb) KiB are read ahead"
	stop
	made 4
	[ "$(queue minimum_io_size)" = 65536 ] || fail "the stripe unit is $(queue minimum_io_size)"
	case $(queue optimal_io_size) in
	65536)
		grep -q "mkfs.ext4 -E stride=16,stripe_width=48 $block" "$tmp/said" || { cat "$tmp/said"; fail "no line for mkfs.ext4"; }
		grep -q "mkfs.xfs -d su=64k,sw=3 $block" "$tmp/said" || { cat "$tmp/said"; fail "no line for mkfs.xfs"; }
		;;
	196608) ! grep -q mkfs "$tmp/said" || { cat "$tmp/said"; fail "mkfs need not be told"; } ;;
	*) fail "of four members $(queue optimal_io_size) is announced" ;;
	esac
	[ "$(queue read_ahead_kb)" -ge 384 ] || fail "$(queue read_ahead_kb) KiB are read ahead"
	mkfs.xfs -N "$block" >"$tmp/xfs" 2>&1 || { cat "$tmp/xfs"; fail "mkfs.xfs"; }
	! grep -qi 'invalid\|warning' "$tmp/xfs" || { cat "$tmp/xfs"; fail "mkfs.xfs complains"; }
	# By the lines that were printed.
	if grep -q mkfs "$tmp/said"; then
		sed -n 's/^ringraid: *mkfs.xfs \(.*\)/mkfs.xfs -N \1/p' "$tmp/said" >"$tmp/line"
		bash "$tmp/line" >"$tmp/xfs" || fail "$(cat "$tmp/line")"
		sed -n 's/^ringraid: *\(mkfs.ext4 .*\)/\1/p' "$tmp/said" >"$tmp/line"
		quietly bash "$tmp/line"
		dumpe2fs -h "$block" 2>/dev/null | grep -q 'RAID stripe width: *48' || fail "ext4 knows another width"
	fi
	grep -q 'sunit=16 *swidth=48' "$tmp/xfs" || { cat "$tmp/xfs"; fail "mkfs.xfs knows another width"; }
	stop
}

# cpus TID: those that it may run on.
cpus() { awk '/^Cpus_allowed_list/ { print $2 }' "/proc/$(st pid)/task/$1/status"; }

threads() {
	local tid all
	all=$(awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status)
	made 3 --queues 2
	# Which of the two is whose is the kernel's to say.
	[ "$(for tid in $(st 'queue_threads[].tid'); do cpus "$tid"; done | sort | tr '\n' ' ')" = "0 1 " ] ||
		fail "the queues' threads run elsewhere: $(for tid in $(st 'queue_threads[].tid'); do cpus "$tid"; done)"
	kill_daemon
	again "${disks[@]:0:3}" --no-affinity
	for tid in $(st 'queue_threads[].tid'); do
		[ "$(cpus "$tid")" = "$all" ] || fail "a thread runs on $(cpus "$tid") of $all"
	done
	stop
}

play told threads
