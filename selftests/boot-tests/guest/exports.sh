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
# A client of this machine that stays would wait for an export that has ended, and with it who
# looks at all disks, as LVM does at a shutdown. The target holds the array as before.
echo 1 >"/sys/block/$client/device/delete_controller" 2>/dev/null ||
	for controller in /sys/class/nvme/*; do
		[ "$(cat "$controller/transport")" != tcp ] || echo 1 >"$controller/delete_controller"
	done
is_exported || fail "the export has ended with its client"
note "shutting down"
