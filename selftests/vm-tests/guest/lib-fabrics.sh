# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Members over NVMe/TCP on loopback, seen by two hosts of one kernel.
#
# Each disk is a target of its own, as if each were a node, with a port for each host, which
# is closed and opened (unplug, plug); it forgets its reservations as a node does that boots
# (boot). A host is also a hostid, under which it connects.
# shellcheck shell=bash disable=SC2034,SC2154 # variables of the test that sources this
. "${BASH_SOURCE[0]%/*}/lib-hosts.sh"
nvmet=/sys/kernel/config/nvmet
declare -A hostid=([a]=11111111-1111-1111-1111-111111111111 [b]=22222222-2222-2222-2222-222222222222)
declare -A first_port=([a]=4420 [b]=4430)

fabrics_up() {
	modprobe nvme-fabrics
	[ -d $nvmet ] || mount -t configfs none /sys/kernel/config
	ip link set lo up
}

# target N: disk N.
target() {
	local s=$nvmet/subsystems/nqn.test:m$1
	mkdir "$s" "$s/namespaces/1"
	echo 1 >"$s/attr_allow_any_host"
	echo -n "$(readlink -f "/dev/disk$1")" >"$s/namespaces/1/device_path"
	echo "0000000$1-0000-4000-8000-000000000001" >"$s/namespaces/1/device_uuid"
	echo 1 >"$s/namespaces/1/resv_enable"
	echo 1 >"$s/namespaces/1/enable"
	port a "$1"
	port b "$1"
}

# port HOST N: where the host finds the target.
port() {
	local n=$((${first_port[$1]} + $2))
	local p=$nvmet/ports/$n
	mkdir "$p"
	echo tcp >"$p/addr_trtype"
	echo ipv4 >"$p/addr_adrfam"
	echo 127.0.0.1 >"$p/addr_traddr"
	echo $n >"$p/addr_trsvcid"
	plug "$1" "$2"
}

# unplug HOST N...: its connections end at once, and none is made until plug HOST N...
unplug() {
	local host=$1 n
	shift
	for n in "$@"; do rm "$nvmet/ports/$((${first_port[$host]} + n))/subsystems/nqn.test:m$n"; done
}
plug() {
	local host=$1 n
	shift
	for n in "$@"; do
		ln -s "$nvmet/subsystems/nqn.test:m$n" "$nvmet/ports/$((${first_port[$host]} + n))/subsystems/"
	done
}

# boot N: while nobody is connected.
boot() {
	local n=$nvmet/subsystems/nqn.test:m$1/namespaces/1
	echo 0 >"$n/enable"
	echo 1 >"$n/enable"
}

# controller HOST N: its directory in sysfs.
controller() {
	local c nqn address
	for c in /sys/class/nvme/nvme*; do
		{ read -r nqn <"$c/subsysnqn" && [ "$nqn" = "nqn.test:m$2" ]; } 2>/dev/null || continue
		{ read -r address <"$c/address" && [[ $address, == *",trsvcid=$((${first_port[$1]} + $2)),"* ]]; } 2>/dev/null || continue
		echo "$c"
		return 0
	done
	return 1
}

# namespace HOST N: the name of its block device.
namespace() {
	local c
	c=$(controller "$1" "$2") || return 1
	disk_of "$c"
}
# disk_of CONTROLLER: where paths are joined, the one that they are joined to.
disk_of() {
	local b name
	for b in "$1"/nvme*n*; do
		name=${b##*/}
		[[ ! $name =~ ^(nvme[0-9]+)c[0-9]+(n[0-9]+)$ ]] || name=${BASH_REMATCH[1]}${BASH_REMATCH[2]}
		[ ! -e "/sys/block/$name" ] || { echo "$name"; return 0; }
	done
	return 1
}
is_there() { namespace "$1" "$2" >/dev/null; }
is_live() { [ "$(cat "$(controller "$1" "$2")/state" 2>/dev/null)" = live ]; }

# reach PORT NQN HOSTID OPTIONS: sets $reached, the controller's directory in sysfs.
reach() {
	local said
	exec 7<>/dev/nvme-fabrics
	echo -n "transport=tcp,traddr=127.0.0.1,trsvcid=$1,nqn=$2,hostnqn=nqn.2014-08.org.nvmexpress:uuid:$3,hostid=$3,reconnect_delay=1,nr_io_queues=1,$4" >&7
	read -r said <&7
	exec 7>&-
	said=${said#*instance=}
	reached=/sys/class/nvme/nvme${said%%,*}
}

# connect HOST N
connect() {
	local host=$1 n=$2
	reach $((${first_port[$host]} + n)) "nqn.test:m$n" "${hostid[$host]}" ctrl_loss_tmo=600,fast_io_fail_tmo=3,keep_alive_tmo=5
	eventually "host $host has member $n" is_there "$host" "$n"
	ln -sf "$(namespace "$host" "$n")" "/dev/$host$n"
}

# leave HOST N: what it has reserved stays.
leave() {
	echo 1 >"$(controller "$1" "$2")/delete_controller"
	eventually "host $1 has left member $2" is_left "$1" "$2"
}
is_left() { ! is_there "$1" "$2"; }

# host NAME: its members, and where its commands run.
host() {
	local n
	for n in 0 1 2 3; do connect "$1" "$n"; done
	namespaces "$1"
}

is_away() { ! is_live "$1" "$2"; }
