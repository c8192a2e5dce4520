#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The client is this machine itself, by the kernel's initiator; no tool of it is needed.
. ./lib.sh
nqn=nqn.2026-01.org.example:data
modprobe nvme-tcp
disks_before=''
appeared() {
	client=$(comm -13 <(echo "$disks_before") <(lsblk -dno NAME | sort) | grep ^nvme || true)
	[ -n "$client" ]
}
connect() {
	disks_before=$(lsblk -dno NAME | sort)
	echo "transport=tcp,traddr=127.0.0.1,trsvcid=4420,nqn=$nqn" >/dev/nvme-fabrics
	until_true 60 appeared || fail "the client's disk does not appear"
	note "the client has /dev/$client"
}
is_exported() { ringraid --json exports | grep -q '"state": "serving"'; }
# A client of this machine that stays would wait for an export that has ended, and with it who
# looks at all disks, as LVM does at a shutdown, and a start of the array.
disconnect() {
	local controller
	echo 1 >"/sys/block/$client/device/delete_controller" 2>/dev/null ||
		for controller in /sys/class/nvme/*; do
			[ "$(cat "$controller/transport")" != tcp ] || echo 1 >"$controller/delete_controller"
		done
}

# by_force: the array stops under a client that writes. The export's unit ends with it, or it
# would not begin again with the array.
by_force() {
	local unit=ringraid-export@data-nvme-tcp.service uuid writer
	uuid=$(ringraid --json status data | jq -r .uuid)
	dd if=/dev/urandom of="/dev/$client" bs=64k count=100000 oflag=direct seek=1000 status=none 2>/dev/null &
	writer=$!
	sleep 2
	timeout 60 ringraid stop --force data >~/said 2>&1 || { cat ~/said; fail "stop --force"; }
	cat ~/said
	grep -q '^no longer exported: data-nvme-tcp$' ~/said || fail "it does not say what has ended"
	[ "$(systemctl is-active $unit)" = inactive ] || fail "$unit is $(systemctl is-active $unit)"
	! is_exported || fail "it is still exported"
	disconnect
	wait $writer && fail "the client has written all"
	ringraid assemble --uuid "$uuid"
	until_true 60 is_exported || fail "it is not exported again with the array"
	systemctl is-active --quiet $unit || fail "$unit is not active"
	connect
}

case $1 in
make)
	install_package
	# shellcheck disable=SC2119 # no more options
	make_array
	ringraid export data nvme-tcp --target $nqn
	ringraid exports
	connect
	dd if=/dev/urandom of=~/file bs=1M count=8 status=none
	dd if=~/file of="/dev/$client" bs=1M oflag=direct status=none
	cmp ~/file <(dd if=/dev/ringraid/data bs=1M count=8 iflag=direct status=none) || fail "the array has something else"
	by_force
	;;
again)
	until_true 60 is_exported || { ringraid exports || true; systemctl --no-pager status 'ringraid-export@*' || true; fail "it is not exported again"; }
	expect_no_md
	connect
	cmp ~/file <(dd if="/dev/$client" bs=1M count=8 iflag=direct status=none) || fail "the client reads something else"
	;;
esac
# Something to write at the very end, by the client.
dd if=/dev/urandom of="/dev/$client" bs=1M count=20 seek=20 oflag=direct status=none
if ringraid stop data 2>~/said; then fail "stopped while it is exported"; fi
cat ~/said
# The target holds the array as before.
disconnect
is_exported || fail "the export has ended with its client"
note "shutting down"
