#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Members by two paths. Host a has both, as `a` and `c`: two controllers of one hostid, one
# disk. Host b is in the same kernel, where its path is one of the same disk, too: it is worse
# by ANA, so the kernel sends nothing there while host a has one, and its commands are sent to
# its controller.
. "${0%/*}/lib.sh"
. "${0%/*}/lib-fabrics.sh"
hostid[c]=${hostid[a]}
first_port[c]=4440
read -ra disks < <(disks 4)
read -r engine _ < <(engines)

fabrics_up
for i in 0 1 2 3; do
	target $i
	port c $i
	echo non-optimized >"$nvmet/ports/$((first_port[b] + i))/ana_groups/1/ana_state"
done
host a
: >"$tmp/empty"
for i in 0 1 2 3; do
	connect c $i
	# Who looks around does not find what the target has.
	on a mount --bind "$tmp/empty" "$(readlink -f "/dev/disk$i")"
done
read -ra as_a < <(members a)
# Both paths of two members have requests at any time; the second one of the others has some
# when it is needed.
for i in /sys/class/nvme-subsystem/nvme-subsys*; do
	[[ $(cat "$i/subsysnqn") != nqn.test:m[01] ]] || echo round-robin >"$i/iopolicy"
done

paths_live() {
	local n
	for n in 0 1 2 3; do { is_live a $n && is_live c $n; } || return 1; done
}
# cut PATH MEMBER...; mend PATH MEMBER...
cut() {
	unplug "$@"
	sleep 2
}
mend() {
	plug "$@"
	eventually "the paths are back" paths_live
}
# nothing_seen: no member has failed, and the array has waited for none.
nothing_seen() {
	state healthy
	[ "$(told Fail)" = 0 ] || fail "a member was failed"
	[ "$(told WaitingForMembers)" = 0 ] || fail "it has waited"
}

# What a head is taken for: one member each, by its name, with two ways to it.
names() {
	local n
	for n in 0 1 2 3; do
		[[ $(namespace a $n) =~ ^nvme[0-9]+n1$ ]] || fail "member $n is $(namespace a $n)"
		[ "$(namespace a $n)" = "$(namespace c $n)" ] || fail "member $n is two disks"
	done
	[ "$(cat /sys/class/block/nvme*c*n1/hidden | sort -u)" = 1 ] || fail "the paths are not hidden"
	wipe "${disks[@]}"
	refused 'is a multipath device' ringraid create t "${as_a[@]}" --chunk 64K --passthrough --engine "$engine"
	array
	[ "$(st 'members | map(.device) | join(" ")')" = "${as_a[*]}" ] || fail "the members are $(st members)"
	held_by a || fail "the members are not reserved: $(st fence)"
	ringraid --json features >"$tmp/log"
	jq -e '.fabrics | (.paths | length == 8) and (.members | length == 4) and
		all(.members[]; (.controllers | length == 2) and .reservations.available)' "$tmp/log" >/dev/null ||
		{ cat "$tmp/log"; fail "features has not four members with two paths each"; }
	stop
	quietly ringraid assemble --scan
	[ "$(st 'members | length')" = 4 ] || fail "a scan finds $(st members)"
	block=$(st block_device)
	read_all "after a scan"
	stop
}

# A path is lost under clients, then the other; one is disconnected for good, and connected
# again: clients see nothing, the array neither.
one_path() {
	local path
	array
	clients
	for path in a c; do
		cut $path 0 1 2 3
		clients_write
		nothing_seen
		mend $path 0 1 2 3
	done
	leave c 2
	cut a 1
	clients_write
	plug a 1
	connect c 2
	eventually "the paths are back" paths_live
	cut a 2
	clients_write
	mend a 2
	end_clients
	nothing_seen
	held_by a || fail "not reserved any more"
	stop
	judge "${disks[@]}"
}

# Both paths of one are lost: it has failed. Of all: the array waits.
both_paths() {
	local before
	array --bitmap-chunk 1M
	clients
	unplug a 2
	unplug c 2
	eventually "the array is degraded" is_state degraded
	[ "$(st 'members[2].state')" != active ] || fail "another member has failed"
	plug a 2
	eventually "a path is back" is_live a 2
	quietly ringraid add t /dev/a2
	quietly on a timeout 300 ringraid wait t
	state healthy
	mend c 2
	unplug a 0 1 2 3
	unplug c 0 1 2 3
	eventually "the array waits" waits
	before=$(counter writes)
	sleep 2
	# One path each is enough.
	plug c 0 1 2 3
	eventually "the array goes on" goes_on $((before + 20))
	mend a 0 1 2 3
	end_clients
	state healthy
	[ "$(told Fail)" = 1 ] || fail "told of $(told Fail) failures"
	held_by a || fail "not reserved any more"
	stop
	judge "${disks[@]}"
}

# writes_by PATH OTHER: whether member 1 takes a write when that path alone is there.
writes_by() {
	local rc=0
	unplug "$2" 1
	eventually "path $2 is away" is_away "$2" 1
	dd if=/dev/zero of=/dev/a1 bs=4k count=1 seek=3000 oflag=direct conv=nocreat 2>"$tmp/said" || rc=$?
	plug "$2" 1
	eventually "the paths are back" paths_live
	return $rc
}
# What is reserved by one path is reserved for the host: it writes by both, and who preempts it
# ends both.
fenced() {
	local n key
	array
	follow
	writes_by a c || fail "host a may not write by path a"
	writes_by c a || fail "host a may not write by path c"
	load_until_error "$block"
	key=$(st fence.key)
	for n in 0 1 2 3; do
		reach $((first_port[b] + n)) "nqn.test:m$n" "${hostid[b]}" ctrl_loss_tmo=600,fast_io_fail_tmo=3
		eventually "host b reaches member $n" is_live b $n
		quietly /test/reserve "/dev/${reached##*/}" 0xb0b "$key"
	done
	eventually "host a ends its service" is_over
	wait "$client" && fail "clients saw no error"
	eventually "host a says so" grep -q 'fenced: a host with key 0x0000000000000b0b' "$tmp/log-of-a"
	! grep -q 'member [0-9] failed' "$tmp/log-of-a" || fail "host a blames a member"
	! writes_by a c || fail "host a has written by path a"
	! writes_by c a || fail "host a has written by path c"
	grep -q 'Invalid exchange' "$tmp/said" || { cat "$tmp/said"; fail "it was refused by something else"; }
	refused 'reserved for' ringraid assemble "${as_a[@]}"
	kill $follower
}

play names one_path both_paths fenced
