#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `./run demo [--native | --cluster]`: the array at work, in a VM with the stock kernel on
# five NVMe disks, or on this machine's own kernel on five loop devices that it
# makes itself; it touches no other device. demo-guest.sh is what happens. --cluster is
# another story, cluster/scenario.sh.
# shellcheck source-path=SCRIPTDIR/vm disable=SC2034,SC2154 # variables shared with what is sourced
set -euo pipefail
. "${BASH_SOURCE[0]%/*}/vm-tests/lib/tree.sh"
. "$vm_dir/kernel.sh"
. "$vm_dir/accel.sh"

disk_size=256M
tree_bytes=220000000

usage() {
	cat <<'END'
usage: ./run demo [--native | --cluster]
Creates a RAID5 array, copies a real tree onto it, loses a disk, lets a spare take over,
cuts the power in the middle of the rebuild, goes on, checks parity and every
checksum, and hands the disks to md, which does the same.
In a VM with the stock kernel; --native: on this machine's own kernel (Debian 13
booted into >= 7.1, as root), on loop devices that it makes itself.
--cluster: four storage nodes, two gateways with Pacemaker and a client, each a VM: a
node dies, then the gateway that serves, and the client, which verifies every byte,
sees two pauses (docs/cluster.md; 4 GB of memory, a quarter of an hour without KVM).
END
}

step() { printf '%4d s  %s\n' $SECONDS "$*"; }

in_vm() {
	kernel_ensure
	step "boot kernel $(kernel_cached) in QEMU ($(vm_accel)), five NVMe disks of $disk_size"
	local disks=() n rc=0
	for n in 0 1 2 3 4; do
		truncate -s $disk_size "$work/disk$n"
		disks+=(--disk "nvme:$work/disk$n")
	done
	boot power || rc=$?
	[ $rc = 126 ] || die "the demo ended with $rc, and not by the cut"
	step "boot again"
	boot after
}

# boot CUT: the machine with what its disks hold.
boot() {
	"$RINGRAID_RUN" vm "${disks[@]}" --timeout 900 --tree "$work/tree" --file "$work/sums:/demo/sums" \
		--file "$top/selftests/demo-guest.sh:/demo/demo-guest.sh" -- \
		env RINGRAID_DEMO_BEGAN="$began" bash /demo/demo-guest.sh "$1" /data /demo/sums \
		/dev/disk0 /dev/disk1 /dev/disk2 /dev/disk3 /dev/disk4
}

native_cleanup() {
	local l
	for l in "${loops[@]}"; do losetup -d "$l" 2>/dev/null || true; done
	rm -f "$rule"
	rm -rf -- "$work"
}

# udev's rules of mdadm would start the disks on their own, behind our back.
native_hide_from_udev() {
	local l
	[ -d /run/udev ] || return 0
	mkdir -p "${rule%/*}"
	for l in "${loops[@]}"; do
		echo "KERNEL==\"${l#/dev/}\", ENV{DM_MULTIPATH_DEVICE_PATH}=\"1\""
	done >"$rule"
	udevadm control --reload 2>/dev/null || true
}

in_native() {
	local n bin l
	is_root || die "the native demo needs root" "run it as root"
	is_native || die "the native demo needs Debian 13" "./run demo runs it in a VM"
	version_ge "$(uname -r)" "$kernel_min" ||
		die "this kernel is $(uname -r), the BPF engine needs $kernel_min" \
			"boot a kernel of trixie-backports, or ./run demo for a VM"
	bin=$(find "${RINGRAID_BUILD:?}" -maxdepth 3 -name ringraid -type f -perm -u+x -print -quit)
	[ -n "$bin" ] || die "there is no ringraid in $RINGRAID_BUILD"
	modprobe ublk_drv || die "this kernel has no ublk_drv module"
	modprobe loop 2>/dev/null || true
	loops=() rule=/run/udev/rules.d/60-ringraid-demo-$$.rules
	trap native_cleanup EXIT
	for n in 0 1 2 3 4; do
		truncate -s $disk_size "$work/disk$n"
		l=$(losetup --find --show "$work/disk$n") || die "cannot make a loop device"
		loops+=("$l")
	done
	native_hide_from_udev
	step "this machine's own kernel, five loop devices of $disk_size"
	RINGRAID_DEMO_BEGAN=$began PATH=$(dirname "$bin"):$PATH bash "$top/selftests/demo-guest.sh" \
		kill "$work/tree" "$work/sums" "${loops[@]}"
}

mode=in_vm
case ${1:-} in
'') ;;
--native) mode=in_native ;;
--cluster) exec bash "$top/selftests/cluster/scenario.sh" ;;
-h | --help) usage; exit 0 ;;
*) usage >&2; exit 2 ;;
esac

began=$(date +%s)
make_work demo
step "collect a tree of $((tree_bytes / 1000000)) MB"
make_tree "$work" $tree_bytes
$mode
