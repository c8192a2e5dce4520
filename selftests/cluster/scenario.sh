#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# docs/cluster.md on four machines: two gateways with Pacemaker over four storage nodes, and
# a client that writes and reads back every byte. A storage node dies and comes back, then
# the gateway that serves dies and comes back. `./run demo --cluster` shows it to people,
# `./run test boot --full cluster` judges by it, and goes on: a gateway stands still and is
# fenced when it goes on, and a node dies together with the gateway. Nothing is judged by how
# long it took.
#
# A line a step. Each step is checked; the first that fails ends it, with what the machines
# have to say. Exit code 77: this machine cannot do it.
# shellcheck source-path=SCRIPTDIR/../vm disable=SC2016,SC2034,SC2154 # what is quoted is for the machines
set -Eeuo pipefail
. "${RINGRAID_TOP:?started by ./run}/selftests/vm/environment.sh"
. "$top/selftests/cluster/lab.sh"

began=$(date +%s)
active='' # the gateway that serves
frozen='' # one that stands still
step() { printf '%4d s  %s\n' $(($(date +%s) - began)) "$*"; }

fail() {
	trap - ERR
	step "FAILED: $*"
	lab_complain
	exit 1
}
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR

# must MACHINE COMMAND...: what it printed is in $said.
must() { said=$(on "$@") || fail "$1: ${*:2} (exit code $?): $said"; }

# both COMMAND-WITH-N: on the two gateways at once; N is the gateway's number.
both() {
	local n ids=()
	for n in 1 2; do
		begin gw$n "${*//N/$n}"
		ids[n]=$line_id
	done
	for n in 1 2; do
		within 900 "gw$n: $*" ended gw$n "${ids[n]}"
		said=$(result gw$n "${ids[n]}") || fail "gw$n: $* (exit code $?): $said"
	done
}

# status_of GATEWAY JQ: of the array; empty where it is not served.
status_of() { on "$1" "ringraid --json status data 2>/dev/null | jq -Mr '$2 // empty'" || true; }
is_state() { [ "$(status_of "$1" .state)" = "$2" ]; }
client_moves() { [ -n "$(on rest 'client_moves && echo moves')" ]; }

# serves GATEWAY: the last of the group runs there, as Pacemaker has it.
serves() { on "$1" 'crm_resource -r port -W 2>/dev/null' | grep -q "is running on: $1"; }
online() { on "$1" 'crm_mon -1 2>/dev/null' | grep -q 'Online: \[ gw1 gw2 \]'; }

# paused WHAT: what the client saw of it.
paused() {
	within 900 "the client goes on after $1" client_moves
	must rest client_gap
	step "  the client waited $said s, saw no error, and writes on"
}

machines() {
	step "power on: two gateways, a storage node, and a machine that is three more and the client (QEMU, $(vm_accel))"
	local n
	for n in gw1 gw2 rest node4; do power_on $n; done
	await_up rest node4
	for n in 1 2 3; do must rest node_up $n; done
	must node4 node_up 4
	step "node1 to node4 offer a disk each by NVMe/TCP"
	await_up gw1 gw2
	step "gw1 and gw2 are up: Debian 13, ringraid $package_version, Pacemaker"
	both gateway_install N
	both gateway_connect
	step "gw1 and gw2 are connected to all four nodes"
}

cluster() {
	must gw1 'ringraid create data $(members)'
	must gw1 'blkid -p -o value -s UUID "$(members | head -n1)"'
	uuid=$said
	within 600 "the first parity, and the log" is_logged gw1
	must gw1 ringraid stop data
	step "gw1: an array of the four, RAID5 with a partial parity log, $uuid; stopped again"
	must gw1 "ocf-tester -n array -o uuid=$uuid /usr/lib/ocf/resource.d/ringraid/array"
	step "ocf-tester: $(tail -n1 <<<"$said")"
	must gw2 "touch /etc/ringraid/arrays/$uuid"
	both gateway_cluster
	within 600 "the cluster is complete" online gw1
	must gw1 gateway_configure "$uuid"
	within 900 "the group runs" serving
	step "Pacemaker starts array, subsystem, namespace, address and port on $active"
}

is_logged() { [ "$(status_of "$1" .consistency)" = ppl ]; }

serving() {
	local g
	for g in gw1 gw2; do
		if [ $g = "$frozen" ] || ! is_on $g || ! serves $g; then continue; fi
		active=$g
		return 0
	done
	return 1
}

load() {
	must rest client_connect 10.0.0.10
	step "client: a disk of $((said / 2048)) MiB at 10.0.0.10; fio writes, reads back and compares, from now on"
	must rest client_begin
	within 300 "the client writes" client_moves
	on rest client_gap >/dev/null
}

node_dies() {
	step "node4 loses its power"
	power_off node4
	within 600 "the array is degraded" is_state "$active" degraded
	paused "the loss of node4"
	node_returns
}

node_returns() {
	step "node4 comes back"
	power_on node4
	await_up node4
	must node4 node_up 4
	within 600 "$active is connected to node4" node_is_back
	must "$active" ringraid add data "$(member 4)"
	within 900 "the array is whole" is_state "$active" healthy
	must rest client_gap
	step "  ringraid add: it is filled, the array is healthy"
}
member() { echo "/dev/disk/by-id/nvme-uuid.6c0f1c0e-0000-4000-8000-00000000000$1"; }
node_is_back() { on "$active" "dd if=$(member 4) of=/dev/null bs=4k count=1 iflag=direct" >/dev/null; }

gateway_dies() {
	dead=$active
	step "$dead, which serves, loses its power"
	power_off "$dead"
	within 900 "the other gateway serves" serving
	[ "$active" != "$dead" ] || fail "$dead serves without power"
	step "  Pacemaker has started the group on $active: the members' reservations are taken from $dead"
	paused "the loss of $dead"
	within 900 "the array is whole" is_state "$active" healthy
}

gateway_returns() {
	local rc
	step "$dead comes back"
	power_on "$dead"
	await_up "$dead"
	within 600 "$dead joins" online "$dead"
	[ -z "$(status_of "$dead" .state)" ] || fail "$dead serves, too"
	must "$dead" "rc=0; ringraid assemble --uuid $uuid || rc=\$?; echo exit \$rc"
	grep -q "exit 76" <<<"$said" || fail "$dead is not refused: $said"
	step "  it is standby: the members are $active's, and it is refused (exit code 76)"
	# A cluster that is busy may not answer at once.
	within 900 "the group is where it was" serves "$active"
	within 900 "the client goes on" client_moves
}

# The dangerous one: a gateway that was thought dead and goes on where it was.
gateway_freezes() {
	frozen=$active
	step "$frozen stands still, and goes on when $dead serves"
	freeze "$frozen"
	within 900 "the other gateway serves" serving
	paused "the stillness of $frozen"
	thaw "$frozen"
	within 600 "$frozen is fenced" was_fenced "$frozen"
	step "  $frozen found its reservations gone and ended its daemon: $said"
	frozen=''
	within 600 "both gateways are in the cluster" online "$active"
	within 900 "the group runs" serving
	within 900 "the array is whole" is_state "$active" healthy
	within 900 "the client goes on" client_moves
	must rest client_gap
}
was_fenced() {
	said=$(on "$1" 'journalctl -b --no-pager -o cat -u "ringraid@*" | grep "error: fenced" | tail -n1')
	[ -n "$said" ]
}

# Dirty and degraded: without a log such an array starts nowhere by itself.
both_die() {
	dead=$active
	step "node4 loses its power, and $dead, which serves, at the same time"
	power_off node4
	power_off "$dead"
	within 900 "the other gateway serves" serving
	is_state "$active" degraded || fail "not degraded on $active"
	paused "the loss of node4 and $dead"
	node_returns
}

verdict() {
	must rest client_end
	step "client: no error, every byte right"
	must "$active" 'ringraid check data --wait >/dev/null; ringraid --json status data | jq -Mr .job.last.mismatch_sectors'
	[ "$said" = 0 ] || fail "parity: $said sectors do not match"
	step "check: parity is right everywhere"
	lab_kernels
	step "PASS: a node lost, a gateway lost, no byte lost"
}

lab_prepare
began=$(date +%s) # what is prepared once does not count
machines
cluster
load
node_dies
gateway_dies
gateway_returns
if [ "${RINGRAID_LEVEL:-normal}" = full ]; then
	gateway_freezes
	both_die
fi
verdict
