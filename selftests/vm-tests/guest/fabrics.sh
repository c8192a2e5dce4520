#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Members over TCP. What must hold: a host whose reservations are gone writes nothing and
# blames no member.
. "${0%/*}/lib.sh"
. "${0%/*}/lib-fabrics.sh"
read -ra disks < <(disks 4)
read -r engine _ < <(engines)

fabrics_up
for i in 0 1 2 3; do target $i; done
host a
host b
read -ra as_a < <(members a)
read -ra as_b < <(members b)

# A member's superblock alone: what is behind it, as the bitmap, is the daemon's to change.
superblock() { dd if="$1" bs=4k skip=1 count=1 iflag=direct status=none; }

# cannot_write HOST N: it reaches the member, and is refused.
cannot_write() {
	eventually "host $1 reaches member $2" is_live "$1" "$2"
	eventually "host $1 sees member $2" is_there "$1" "$2"
	writes_nothing "$1" "/dev/$(namespace "$1" "$2")"
}

# They are reserved unasked.
# shellcheck disable=SC2119 # no options
reserved() { one_has_them; }

# What would make an array wait, and whether its members are fenced, is told before it happens.
# shellcheck disable=SC2016 # jq's
told_before() {
	local limit
	array
	ringraid --json features >"$tmp/log"
	[ "$(jq -c '.fabrics.members | map(select(.array == "t" and .reservations.available)) | length' "$tmp/log")" = 8 ] ||
		{ cat "$tmp/log"; fail "not both hosts' ways to four members that can be reserved"; }
	limit=$(controller a 1)/fast_io_fail_tmo
	echo -1 >"$limit"
	ringraid features >"$tmp/log"
	if ! grep -q "$(basename "$(controller a 1)") : .* an array waits 600 s" "$tmp/log" ||
		[ "$(grep -c 'an array waits' "$tmp/log")" != 1 ]; then
		cat "$tmp/log"
		fail "features does not say what an array would wait for"
	fi
	unplug a 2
	eventually "a connection is away" is_away a 2
	ringraid --json features >"$tmp/log"
	[ "$(jq -c '.fabrics.members | length' "$tmp/log")" = 7 ] || { cat "$tmp/log"; fail "a member that is away was asked"; }
	plug a 2
	echo 3 >"$limit"
	eventually "the connection is back" is_live a 2
	# Without a load nobody has missed it.
	state healthy
	stop
}

# shellcheck disable=SC2119
taken_over() {
	other_takes_them
	judge "${disks[@]}"
}

# moved: who is a client of host a over NVMe goes on with host b, and sees no error: what host
# a cannot answer any more it does not answer.
moved() {
	local nqn
	array
	follow
	quietly ringraid export t nvme-tcp --port 4500
	nqn=$(ringraid --json exports | jq -r '.exports[0].target')
	client_of "$nqn"
	client v "$client_disk" --bssplit=$mix --iodepth=8 --size=8m
	clients_write
	at b
	quietly ringraid assemble --take-over "${as_b[@]}" --engine "$engine"
	eventually "host a ends its service" is_over
	on a sh -c 'rm -f /sys/class/ublk-char/*'
	at a
	quietly ringraid unexport t-nvme-tcp
	at b
	quietly ringraid export t nvme-tcp --port 4500
	clients_write
	end_clients
	echo 1 >"$reached/delete_controller"
	quietly ringraid unexport t-nvme-tcp
	quietly on b timeout 300 ringraid wait "$(st uuid)"
	state healthy
	stop
	kill $follower
	at a
	judge "${disks[@]}"
}
# client_of NQN: a third host, which is no gateway.
client_of() {
	reach 4500 "$1" 33333333-3333-3333-3333-333333333333 ctrl_loss_tmo=-1
	eventually "the client has its disk" has_disk
}
has_disk() { client_disk=/dev/$(disk_of "$reached") && [ -b "$client_disk" ]; }

# alone: who looks around would take host b's paths for second ones of host a's members.
alone() {
	local n
	for n in 0 1 2 3; do leave b $n; done
}
together() {
	local n
	for n in 0 1 2 3; do connect b $n; done
}

# A daemon that is killed is succeeded where nobody came between: the successor has another
# key, and finds the members reserved or forgotten.
clears() { ringraid fence-clear "${as_a[@]}" >"$tmp/log" 2>&1; }
succeeded() {
	local before n
	array
	alone
	before=$(st fence.key)
	kill_daemon
	again "${as_a[@]}"
	held_by a || fail "not reserved after a takeover"
	[ "$(st fence.key)" != "$before" ] || fail "the dead daemon's key is used again"
	read_all "after a takeover"
	kill_daemon
	eventually "the dead one lets go" clears
	again "${as_a[@]}"
	held_by a || fail "not reserved after a takeover of what was cleared"
	before=$(st fence.key)
	kill_daemon
	for n in 0 1 2 3; do
		connect b $n
		quietly /test/reserve "/dev/b$n" 0xb0b "$before"
		leave b $n
	done
	keep "${disks[@]}"
	refused "reserved for" ringraid assemble "${as_a[@]}"
	kept "${disks[@]}"
	eventually "the dead one lets go" clears
	again "${as_a[@]}"
	state healthy
	read_all "after a takeover"
	stop
	judge "${disks[@]}"
	together
}

# away COMMAND...: host a reaches no member while it runs; then all are back.
away() {
	local before
	unplug a 0 1 2 3
	eventually "the array waits" waits
	ringraid status >"$tmp/log" || fail "the status is not that of a healthy array"
	grep -q 'healthy, waiting for members' "$tmp/log" || { cat "$tmp/log"; fail "the status does not say so"; }
	before=$(counter writes)
	"$@"
	plug a 0 1 2 3
	eventually "the array goes on" goes_on $((before + 20))
}

# All members are away for a while: clients pause. What is logged first waits as well.
outage() {
	outage_of --bitmap-chunk 1M
	outage_of --consistency ppl
}
outage_of() {
	array "$@"
	clients
	away sleep 2
	away sleep 1
	end_clients
	state healthy
	[ "$(told Fail)" = 0 ] || fail "a member was failed"
	on a grep -q 'clients wait up to 60 s$' "/run/ringraid/$(st uuid | tr : -)/log" || fail "it does not wait as long as it should by default"
	[ "$(told WaitingForMembers)" = 2 ] || fail "told of waiting $(told WaitingForMembers) times"
	[ "$(told MembersBack)" = 2 ] || fail "told of the end $(told MembersBack) times"
	held_by a || fail "not reserved any more"
	stop
	judge "${disks[@]}"
}

# The storage boots meanwhile, has forgotten its reservations, and is back disk by disk.
booted() {
	array
	clients
	away boot_all
	end_clients
	state healthy
	eventually "the members are reserved again" held_by a
	cannot_write b 1
	stop
	judge "${disks[@]}"
}
boot_all() {
	local n
	unplug b 0 1 2 3
	for n in 0 1 2 3; do boot $n; done
	plug b 0 1 2 3
	for n in 0 1; do
		plug a $n
		eventually "the connection is back" is_live a $n
		waits || fail "it does not wait for all"
	done
	unplug a 0 1
}

# One of them is away while the others answer: it has failed, and is a member again later.
lost() {
	array --bitmap-chunk 1M
	clients
	unplug a 2
	eventually "the array is degraded" is_state degraded
	[ "$(st 'waiting_for | length')" = 0 ] || fail "it waits"
	plug a 2
	eventually "the connection is back" is_live a 2
	quietly ringraid add t /dev/a2
	quietly on a timeout 300 ringraid wait t
	end_clients
	state healthy
	stop
	judge "${disks[@]}"
}

# Where it is asked for it is one again by itself, and who was failed by a person is not.
is_back() { is_state healthy && is_live a "$1"; }
returned() {
	alone
	array --bitmap-chunk 1M
	clients
	unplug a 2
	eventually "the array is degraded" is_state degraded
	plug a 2
	eventually "the connection is back" is_live a 2
	sleep 5
	state degraded
	quietly ringraid set t re-add=yes
	eventually "the member is back" is_back 2
	unplug a 0
	eventually "the array is degraded" is_state degraded
	plug a 0
	eventually "the member is back" is_back 0
	quietly ringraid fail t /dev/a1
	sleep 5
	state degraded
	quietly ringraid add t /dev/a1
	quietly on a timeout 300 ringraid wait t
	end_clients
	state healthy
	stop
	judge "${disks[@]}"
	together
}

# connect_anew N: host a makes the connection again, and what was its name is another's, which
# is added to $others.
connect_anew() {
	local old
	old=$(namespace a "$1")
	leave a "$1"
	eventually "the array is degraded" is_state degraded
	reach $((first_port[a] + 3)) nqn.test:m3 "33333333-3333-3333-3333-33333333333$1" ctrl_loss_tmo=600
	others+=("$reached")
	connect a "$1"
	[ "$(namespace a "$1")" != "$old" ] || fail "member $1 has its old name"
}

# A member that comes back by another name is known by what is on it.
renamed() {
	local c others=()
	alone
	array --bitmap-chunk 1M
	clients
	connect_anew 2
	quietly ringraid add t /dev/a2
	quietly on a timeout 300 ringraid wait t
	state healthy
	quietly ringraid set t re-add=yes
	connect_anew 0
	eventually "the member is back" is_back 0
	end_clients
	[ "$(readlink -f "$(st 'members[0].device')")" = "/dev/$(namespace a 0)" ] || fail "member 0 is $(st 'members[0].device')"
	stop
	judge "${disks[@]}"
	for c in "${others[@]}"; do echo 1 >"$c/delete_controller"; done
	together
}

# forced: an array that waits is stopped by force under an export, whose client waits for it:
# nothing waits for the client.
forced() {
	local nqn n
	array --no-path-timeout 86400
	quietly ringraid export t nvme-tcp --port 4500
	nqn=$(ringraid --json exports | jq -r '.exports[0].target')
	client_of "$nqn"
	load_until_error "$client_disk"
	unplug a 0 1 2 3
	eventually "the array waits" waits
	on a timeout 100 ringraid stop --force t >"$tmp/said" 2>&1 || true
	on a sh -c 'rm -f /sys/class/ublk-char/*'
	grep -q '^no longer exported: t-nvme-tcp$' "$tmp/said" || { cat "$tmp/said"; fail "the export has not ended"; }
	[ "$(ringraid --json exports | jq '.exports | length')" = 0 ] || fail "it is still exported"
	is_over || fail "it is still served"
	echo 1 >"$reached/delete_controller"
	wait "$client" && fail "clients saw no error"
	plug a 0 1 2 3
	for n in 0 1 2 3; do eventually "the connection is back" is_live a $n; done
	again "${as_a[@]}"
	quietly on a timeout 300 ringraid wait t
	state healthy
	stop
	judge "${disks[@]}"
}

# Nobody waits for ever.
patience() {
	local n
	array --no-path-timeout 5
	load_until_error "$block"
	unplug a 0 1 2 3
	wait "$client" && fail "clients saw no error"
	eventually "the array has failed" is_state failed
	plug a 0 1 2 3
	for n in 0 1 2 3; do eventually "the connection is back" is_live a $n; done
	refused "two members failed|dirty" ringraid stop
	again "${as_a[@]}"
	quietly on a timeout 300 ringraid wait t
	state healthy
	stop
	judge "${disks[@]}"
}

# Who waits does not do so for members that another host has taken meanwhile.
taken_while_away() {
	array
	follow
	load_until_error "$block"
	unplug a 0 1 2 3
	eventually "the array waits" waits
	at b
	quietly ringraid assemble --take-over "${as_b[@]}" --engine "$engine"
	quietly on b timeout 300 ringraid wait "$(st uuid)"
	at a
	waits || fail "host a waits no more"
	plug a 0 1 2 3
	eventually "host a ends its service" is_over
	on a sh -c 'rm -f /sys/class/ublk-char/*'
	wait "$client" && fail "clients saw no error"
	eventually "host a says so" grep -q 'fenced: host gw-b' "$tmp/log-of-a"
	! grep -q 'member [0-9] failed' "$tmp/log-of-a" || fail "host a blames a member"
	at b
	state healthy
	stop
	kill $follower
	at a
	judge "${disks[@]}"
}

play reserved told_before taken_over taken_while_away moved succeeded outage booted lost returned renamed forced patience
