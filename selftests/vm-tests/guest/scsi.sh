#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A host whose reservations of SCSI disks are gone writes nothing and blames no member.
. "${0%/*}/lib.sh"
. "${0%/*}/lib-hosts.sh"
read -ra disks < <(disks 4)
read -r engine _ < <(engines)
read -ra as_a < <(members a)
read -ra as_b < <(members b)
modprobe iscsi_target_mod
lio=/sys/kernel/config/target
iqn=iqn.2026-01.org.example

# target_up: the disks are LUNs 0 to 3 of it, for each of the hosts.
target_up() {
	local n host tpg=$lio/iscsi/$iqn:members/tpgt_1
	[ -d $lio ] || mount -t configfs none /sys/kernel/config
	ip link set lo up
	# What is registered is kept there over a loss of power, as sd asks for.
	mkdir -p /var/target/pr
	mkdir -p "$tpg/np/127.0.0.1:3260"
	for n in 0 1 2 3; do
		mkdir -p $lio/core/iblock_$n/m$n
		echo -n "udev_path=$(readlink -f "/dev/disk$n")" >$lio/core/iblock_$n/m$n/control
		echo 1 >$lio/core/iblock_$n/m$n/enable
		echo "member-$n" >$lio/core/iblock_$n/m$n/wwn/vpd_unit_serial
		mkdir "$tpg/lun/lun_$n"
		ln -s $lio/core/iblock_$n/m$n "$tpg/lun/lun_$n/member"
	done
	echo 0 >"$tpg/attrib/authentication"
	for host in a b; do
		mkdir "$tpg/acls/$iqn:$host"
		for n in 0 1 2 3; do
			mkdir "$tpg/acls/$iqn:$host/lun_$n"
			ln -s "$tpg/lun/lun_$n" "$tpg/acls/$iqn:$host/lun_$n/member"
		done
	done
	echo 1 >"$tpg/enable"
}

# log_in HOST: a session of its own; its disks are HOST0 to HOST3.
log_in() {
	local n
	quietly iscsiadm -m iface -I "$1" -o new
	quietly iscsiadm -m iface -I "$1" -o update -n iface.initiatorname -v "$iqn:$1"
	quietly iscsiadm -m discovery -t st -p 127.0.0.1 -I "$1"
	quietly iscsiadm -m node -T $iqn:members -I "$1" -l
	eventually "host $1 has its disks" has_disks "$1"
	for n in 0 1 2 3; do ln -sf "$(scsi_disk "$1" $n)" "/dev/$1$n"; done
}
session_of() {
	local s
	for s in /sys/class/iscsi_session/session*; do
		[ "$(cat "$s/initiatorname")" != "$iqn:$1" ] || { echo "$s"; return; }
	done
	return 1
}
# scsi_disk HOST N: its name.
scsi_disk() { basename "$(session_of "$1")"/device/target*/*:"$2"/block/sd*; }
has_disks() {
	local n
	for n in 0 1 2 3; do [ -b "/dev/$(scsi_disk "$1" $n)" ] || return 1; done
}

cannot_write() { writes_nothing "$1" "/dev/$1$2"; }

# At the target nothing is left of it, either.
reserved() {
	local n
	one_has_them --reserve yes
	for n in 0 1 2 3; do
		grep -q '^No SPC-3 Reservation holder' $lio/core/iblock_$n/m$n/pr/res_holder || fail "member $n is still reserved"
		grep -q '^None' $lio/core/iblock_$n/m$n/pr/res_pr_registered_i_pts || fail "a key is left on member $n"
	done
}

# The target has the disks, so md is shown what host a sees.
taken_over() {
	other_takes_them --reserve yes
	judge "${as_a[@]}"
}

target_up
initiator
for h in a b; do
	log_in $h
	namespaces $h
done
play reserved taken_over
