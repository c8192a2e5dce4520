# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Two hosts of one kernel that see the same members, however they reach them.
#
# A host is namespaces of its own for what ringraid keeps beside the members. /dev/a0.. are
# the members as host a has them, /dev/b0.. as b has them; a test has the first in $as_a, the
# others in $as_b, and says what the members are in cannot_write HOST N.
# shellcheck shell=bash disable=SC2034,SC2154 # variables of the test that sources this
declare -A holder=() # the process whose namespaces are the host's

# namespaces NAME: where the host's commands run.
namespaces() {
	unshare -m -u bash -c "mount --make-rprivate /
		hostname gw-$1
		mkdir -p /run/ringraid /dev/ringraid
		mount -t tmpfs -o mode=0755 tmpfs /run
		mount -t tmpfs tmpfs /dev/ringraid
		mount -t bpf bpf /sys/fs/bpf
		mount -t tmpfs tmpfs /sys/class/ublk-char
		touch $tmp/host-$1
		exec sleep 100000" &
	holder[$1]=$!
	eventually "host $1 is up" test -e "$tmp/host-$1"
}

# on HOST COMMAND...
on() {
	local host=$1
	shift
	nsenter -t "${holder[$host]}" -m -u -- "$@"
}

# Which ublk devices there are is the same for both: names of the other's stay hidden.
owns() { on "$1" touch "/sys/class/ublk-char/ublkc${2#/dev/ublkb}"; }

# members HOST: all of them.
members() { echo "/dev/${1}0" "/dev/${1}1" "/dev/${1}2" "/dev/${1}3"; }

# at HOST: whom the verbs of lib.sh ask from here on.
at() { here=$1; }
ringraid() {
	local rc=0 device
	on "${here:-a}" /usr/local/bin/ringraid "$@" || rc=$?
	case " $* " in *" create "* | *" assemble "*)
		device=$(on "${here:-a}" /usr/local/bin/ringraid --json status 2>/dev/null | jq -r .block_device)
		[[ $device != /dev/ublkb* ]] || owns "${here:-a}" "$device"
		;;
	# Its number may be the other's next.
	*" stop "*) [ $rc != 0 ] || on "${here:-a}" sh -c 'rm -f /sys/class/ublk-char/*' ;;
	esac
	return $rc
}

# A new array of host a's, full of known data.
array() {
	at a
	wipe "${disks[@]}"
	start t "${as_a[@]}" --chunk 64K --assume-clean --size 8M --engine "$engine" --clean-after 0 "$@"
	fill
}

# held_by HOST: the members' reservations, as the daemon of HOST has seen them last.
# shellcheck disable=SC2016 # jq's
held_by() {
	at "$1"
	[ "$(st 'fence as $f | $f.members | length == 4 and all(.holder == $f.key)')" = true ]
}
is_over() { ! at a || [ -z "$(st state)" ] || [ "$(st state)" = null ]; }

# follow: what host a's daemon says, also when its files are gone.
follow() {
	on a tail -n 1000 -f "/run/ringraid/$(st uuid | tr : -)/log" >"$tmp/log-of-a" 2>/dev/null &
	follower=$!
}

# load_until_error DISK: clients that write until they are told that nothing works any more.
load_until_error() {
	local before
	before=$(counter writes)
	fio --name=l --filename="$1" --direct=1 --ioengine=libaio --rw=randwrite "--bssplit=$mix" --iodepth=16 \
		--size=20m --time_based --runtime=30000 >"$tmp/fio" 2>&1 &
	client=$!
	eventually "clients write" counts writes $((before + 20))
}

# clients: who verify what they write, until end_clients.
clients() {
	local before
	before=$(counter writes)
	client v "$block" "--bssplit=$mix" --iodepth=8 --numjobs=2 --size=8m --offset_increment=8m
	eventually "clients write" counts writes $((before + 20))
}
# clients_write: they go on.
clients_write() {
	local before
	before=$(counter writes)
	eventually "clients write" counts writes $((before + 20))
}
waits() { [ "$(st 'waiting_for | length')" -ge 2 ]; }
goes_on() { [ "$(st 'waiting_for | length')" = 0 ] && counts writes "$1"; }
told() { on "$here" grep -c "event: $1 " "/run/ringraid/$(st uuid | tr : -)/log" || true; }

# writes_nothing HOST DISK: it is refused.
writes_nothing() {
	! dd if=/dev/zero of="$2" bs=4k count=1 seek=1000 oflag=direct conv=nocreat 2>"$tmp/log" ||
		{ st fence; ls -l "$2"; fail "host $1 has written"; }
}

# one_has_them [OPTION...]: made and reserved; nobody else starts it, or writes to it. Free
# after a stop.
one_has_them() {
	local rc=0
	array "$@"
	held_by a || fail "the members are not reserved: $(st fence)"
	[ "$(st fence.host)" = gw-a ] || fail "the key names $(st fence.host)"
	keep "${disks[@]}"
	at b
	refused "reserved for host gw-a" ringraid assemble "${as_b[@]}" "$@"
	ringraid assemble "${as_b[@]}" "$@" >"$tmp/log" 2>&1 || rc=$?
	[ $rc = 76 ] || fail "refused with exit code $rc"
	kept "${disks[@]}"
	cannot_write b 1
	at a
	state healthy
	read_all "before the stop"
	stop
	again "${as_b[@]}" "$@"
	stop
	at b
	again "${as_b[@]}" "$@"
	held_by b || fail "host b has not reserved the members: $(st fence)"
	state healthy
	read_all "on host b"
	stop
	at a
}

# other_takes_them [OPTION...]: while clients write: errors, and not one member is blamed.
other_takes_them() {
	array "$@"
	follow
	load_until_error "$block"
	at b
	quietly ringraid assemble --take-over "${as_b[@]}" "$@" --engine "$engine"
	block=$(st block_device)
	eventually "host a ends its service" is_over
	# By now the number of its device may be host b's.
	on a sh -c 'rm -f /sys/class/ublk-char/*'
	! wait "$client" || fail "clients saw no error"
	eventually "host a says so" grep -q 'fenced: host gw-b' "$tmp/log-of-a"
	! grep -q 'member [0-9] failed' "$tmp/log-of-a" || fail "host a blames a member"
	at b
	eventually "parity is right" is_state healthy
	quietly on b timeout 300 ringraid wait "$(st uuid)"
	[ "$(st 'members | map(.state) | unique | join(" ")')" = active ] || fail "a member was failed"
	at a
	refused "reserved for host gw-b" ringraid assemble "${as_a[@]}" "$@"
	at b
	stop
	kill $follower
	at a
}
