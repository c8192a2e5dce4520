#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# writehole.sh load OPS SPEC...: arrays whose writes are kept in their order, and a load on each.
# disk0 is what members are cut out of, one array after the other; disk1 and so on are the logs.
# writehole.sh judge OPS SPEC CASE... [SPEC CASE...]...: crashes on disks of their own, judged by
# md and by ringraid. disk0 to disk3 are the crash, disk4 and so on the logs.
#
# SPEC is KIND:CACHE:ENGINE. KIND is md-none or md-ppl, arrays of md; or resync, bitmap or ppl, of
# ringraid. CACHE is that of the members, back or through. CASE is cut:ENTRY, a crash in which
# nothing may be wrong, or hole:ENTRY:MEMBER, one that is to show the hole without that member.
. "${0%/*}/lib.sh"
verb=$1 ops=$2
shift 2
member_sectors=16384
is_md() { [[ $kind = md-* ]]; }
# is_late SPEC: who wrote answers a flush too early (tools/hole/load.h).
is_late() { [[ $1 = md-ppl:back* ]]; }
hole() {
	local options=()
	[ "$cache" = back ] || options=(--through)
	if is_late "$kind:$cache"; then options+=(--flush-late); fi
	/test/hole --seed "$seed" --ops "$ops" --chunk-kib 16 "${options[@]}" "$@"
}
# spec KIND:CACHE:ENGINE
spec() { IFS=: read -r kind cache engine <<<"$1"; }

# make NAME TABLE
make() {
	quietly dmsetup create "$1" --table "$2"
	quietly dmsetup mknodes "$1"
}
# carve LOG: what has no cache has none for the array; the log's own device keeps its. Flushes
# are one behind the other (tools/hole/log.h): one worker of dm-delay sends them, and each is
# over when it is sent, since the disk has no cache.
carve() {
	local i d
	echo "write through" >"/sys/dev/block/$(numbers /dev/disk0)/queue/write_cache"
	make lw "0 $(blockdev --getsz /dev/disk0) log-writes /dev/disk0 $1"
	slow one /dev/mapper/lw 0 0 1
	for i in 0 1 2 3; do make "m$i" "0 $member_sectors linear /dev/mapper/one $((i * member_sectors))"; done
	make acks "0 64 linear /dev/mapper/one $((4 * member_sectors))"
	for i in m0 m1 m2 m3 acks; do
		d=/sys/dev/block/$(numbers "/dev/mapper/$i")/queue/write_cache
		[ "$cache" = back ] || echo "write through" >"$d"
		[ "$(cat "$d")" = "write $cache" ] || fail "$i is write $(cat "$d")"
	done
}
# Nothing written before is written behind it in the log.
barrier() {
	quietly dd if=/dev/zero of=/dev/mapper/lw bs=4096 seek=$((member_sectors / 2 + 64)) count=1 conv=fsync,notrunc
}
uncarve() {
	local d
	barrier
	for d in m0 m1 m2 m3 acks one lw; do quietly dmsetup remove --retry "$d"; done
	sync
}

made=(/dev/mapper/m{0..3})
served() {
	local shape=(--run --name=t --level=5 --raid-devices=4 --chunk=16 --size=2048 --assume-clean)
	local own=(--chunk 16K --size 2M --assume-clean --engine "$engine")
	case $kind in
	md-none) quietly mdadm --create "$md" "${shape[@]}" --bitmap=none --consistency-policy=resync "${made[@]}" ;;
	md-ppl) quietly mdadm --create "$md" "${shape[@]}" --consistency-policy=ppl "${made[@]}" ;;
	resync) start t "${made[@]}" "${own[@]}" --no-bitmap ;;
	bitmap) start t "${made[@]}" "${own[@]}" --consistency bitmap ;;
	ppl) start t "${made[@]}" "${own[@]}" --consistency ppl ;;
	*) fail "no kind $kind" ;;
	esac
	if is_md; then block=$md; fi
}
# log_of SPEC DISK
log_of() {
	spec "$1"
	wipe /dev/disk0
	carve "$2"
	served
	quietly hole fill "$block"
	barrier
	dmsetup message lw 0 mark begin
	quietly hole load "$block" /dev/mapper/acks
	if is_md; then quietly mdadm --stop "$md"; else stop; fi
	uncarve
	say "$1: its log"
}

crash=(/dev/disk{0..3})
# restore LOG ENTRY
restore() { quietly hole restore "$1" "${crash[@]}" "$tmp/acks" --cut "$2"; }

# looks WHAT DEVICE [OPTION]: every sector is what it may be.
looks() {
	blockdev --flushbufs "$2"
	hole verify "$2" "$tmp/acks" "${@:3}" >"$tmp/seen" 2>&1 || { cat "$tmp/seen"; fail "$kind, cut $cut, $1"; }
	say "  cut $cut, $1: $(cat "$tmp/seen")"
}
# shows WHAT DEVICE: some are not that nobody was writing.
shows() {
	local rc=0
	blockdev --flushbufs "$2"
	hole verify "$2" "$tmp/acks" >"$tmp/seen" 2>&1 || rc=$?
	say "  cut $cut, $1: $(cat "$tmp/seen")"
	{ [ $rc = 3 ] && grep -q 'idle wrong [1-9]' "$tmp/seen"; } || fail "$kind, cut $cut, $1: no hole: nothing is proven"
}
# others MEMBER: all but it.
others() { echo "${crash[@]:0:$1}" "${crash[@]:$1+1}"; }

# With all members at the start everything is old or new, whoever is lost afterwards. Where a
# unit was cut off, parity is made right before.
whole_by_md() {
	restore "$1" "$cut"
	quietly mdadm --assemble "$md" --run "${crash[@]}"
	md_idle
	quietly mdadm "$md" --fail "${crash[$2]}"
	looks "recovered by md, then without member $2" "$md"
	give
}
whole_by_ringraid() {
	restore "$1" "$cut"
	again "${crash[@]}" --engine "$engine"
	quietly ringraid wait t
	quietly ringraid fail t "$2"
	looks "recovered by ringraid, then without member $2" "$block"
	stop
}
# Without a member from the start: what was in flight on it may be anything, all else is there.
less_by_md() {
	restore "$1" "$cut"
	# shellcheck disable=SC2046 # words
	quietly mdadm --assemble "$md" --run $(others "$2")
	looks "started by md without member $2" "$md" --idle-only
	give
}
less_by_ringraid() {
	restore "$1" "$cut"
	# shellcheck disable=SC2046 # words
	again $(others "$2") --degraded --engine "$engine"
	looks "started by ringraid without member $2" "$block" --idle-only
	stop
}
# What ringraid recovered has right parity by md.
handed_back() {
	restore "$1" "$cut"
	again "${crash[@]}" --parity-first --engine "$engine"
	stop
	judge "${crash[@]}"
	say "  cut $cut, recovered by ringraid: its parity is right by md"
}
nothing_wrong() {
	whole_by_ringraid "$1" $((turn % 4))
	whole_by_md "$1" $(((turn + 1) % 4))
	less_by_ringraid "$1" $(((turn + 2) % 4))
	less_by_md "$1" $(((turn + 3) % 4))
	handed_back "$1"
	turn=$((turn + 1))
}
wrong() {
	restore "$1" "$cut"
	# shellcheck disable=SC2046 # words
	quietly mdadm --assemble "$md" --run --force $(others "$2")
	shows "forced by md without member $2" "$md"
	give
	restore "$1" "$cut"
	# shellcheck disable=SC2046 # words
	again $(others "$2") --degraded --force --engine "$engine"
	shows "forced by ringraid without member $2" "$block"
	stop
}

case $verb in
load)
	modprobe -a dm-mod dm-log-writes dm-delay
	disk=1
	for one in "$@"; do
		log_of "$one" /dev/disk$disk
		disk=$((disk + 1))
	done
	;;
judge)
	disk=3 turn=$((seed % 4))
	for one in "$@"; do
		IFS=: read -r what cut member <<<"$one"
		case $what in
		cut) nothing_wrong /dev/disk$disk ;;
		hole) wrong /dev/disk$disk "$member" ;;
		*)
			spec "$one"
			disk=$((disk + 1))
			say "$one"
			;;
		esac
	done
	;;
esac
