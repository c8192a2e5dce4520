#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What a patched kernel must have, in either flavour.
# shellcheck source=selftests/vm-tests/guest/lib.sh
. "${0%/*}/../t/lib.sh"
[[ $(uname -r) == *-ringraid* ]] || fail "this is $(uname -r), not the patched kernel"
bpftool btf dump file /sys/kernel/btf/vmlinux >"$tmp/btf"
for type in io_uring_bpf_ops iou_ctx io_uring_sqe; do
	grep -q "STRUCT '$type'" "$tmp/btf" || fail "no struct $type in the kernel's BTF"
done
say "$(uname -r) boots; its BTF has io_uring_bpf_ops"
for m in ublk_drv raid456 ext4 xfs dm-mod dm-flakey dm-log-writes dm-delay loop brd scsi_debug; do
	quietly modprobe $m
done
quietly modprobe null_blk nr_devices=0
for m in brd null_blk scsi_debug; do quietly modprobe -r $m; done
[ -c /dev/ng0n1 ] || fail "no /dev/ng0n1: NVMe passthrough has no character device"
say "its drivers are there"
ringraid features --json >"$tmp/features"
jq -e '.bpf_engine.available and .ublk.available and .xor.kfunc' "$tmp/features" >/dev/null ||
	{ cat "$tmp/features"; fail "ringraid lacks something here"; }
read -ra members < <(disks 4)
start t "${members[@]}" --chunk 64K --assume-clean --engine bpf
[ "$(st xor)" = "the kernel's uring_bpf_xor" ] || fail "parity is computed by $(st xor)"
load io --rw=randrw --bs=4k --iodepth=8 --size=2m
no_stream
stop
judge "${members[@]}"
say "an array serves, and md agrees with its parity"
